"""The dashboard: data, shared layers, what may learn, a run and its result, in one widget."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, cast

import traitlets

from nbtransfer.core import strategy as strategies
from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.recipe import AUGMENTATIONS, Recipe
from nbtransfer.core.strategy import STRATEGIES
from nbtransfer.core.task import SPLITS
from nbtransfer.core.text.counts import short_number
from nbtransfer.core.tree import frozen_in
from nbtransfer.errors import InputError, NbTransferError, RunError
from nbtransfer.jobs import warm
from nbtransfer.jobs.draft import Draft
from nbtransfer.jobs.launcher import start
from nbtransfer.jobs.run import Run, attach
from nbtransfer.pretrained import listing
from nbtransfer.tasks.task import Task
from nbtransfer.ui.compare_part import ComparePart
from nbtransfer.ui.ending import Ending
from nbtransfer.ui.layer_tree import TreePart
from nbtransfer.ui.pictures import data_url
from nbtransfer.ui.run_monitor import RunPart, report_of
from nbtransfer.ui.widget import Panel, module

FIELDS = ("strategy", "epochs", "lr", "batch_size", "image_size", "crop", "augment", "seed", "device")
"""Settings of a recipe that the dashboard offers."""
MOST_CLASSES, PICTURES = 12, 6


class Dashboard(TreePart, RunPart, ComparePart, Panel):
    """All of it in one place. Made by `nbtransfer.dashboard`.

    What is chosen here is kept in `draft`, which the magics of the same kernel share. `current` is the run shown.
    """

    _esm = module(
        "dom", "link", "tree", "chart", "result", "monitor", "compare", "data", "choices", "dashboard",
    )  # fmt: skip

    backbones: traitlets.List[Any] = traitlets.List().tag(sync=True)
    card = traitlets.Dict().tag(sync=True)
    settings = traitlets.Dict().tag(sync=True)
    options = traitlets.Dict().tag(sync=True)
    phases: traitlets.List[Any] = traitlets.List().tag(sync=True)
    task = traitlets.Dict().tag(sync=True)

    def __init__(self, draft: Draft, run: Run | None = None, *, report_after: float | None = 120.0) -> None:
        super().__init__()
        self.draft = draft
        self._ops = {
            "data": self.choose_data, "choose": self.choose, "start": self.start, "stop": self.stop_run, "touch": self.touch,
            "pause": self.pause_run, "resume": self.resume_run, "replan": self.replan_run,
            "moments": self.moments, "explain": self.explain,
        }  # fmt: skip
        self._ending = Ending(report_after)
        self._shown_revision = -1
        self._described: Task | None = None
        self._refreshing = threading.RLock()  # the pump, a request and a cell may all bring news
        self.options = {"strategy": list(STRATEGIES), "augment": list(AUGMENTATIONS)}
        self.backbones = [_row(card) for card in listing.backbones()]
        self.watch_run(run)
        self._refresh()
        self.observe(self._frozen_ticked, "frozen")

    @property
    def current(self) -> Run | None:
        """The run shown."""
        return self._run

    def choose_data(self, source: str, **options: Any) -> None:
        """Take a folder of labelled images, or `demo:NAME`, as the target task."""
        self.draft.choose(task=Task.named(source, **options))
        self._refresh()

    def choose(self, **changes: Any) -> None:
        """Change the backbone or settings; checked at once."""
        if "augment" in changes:
            changes["augment"] = tuple(changes["augment"])
        # None stands for a field left empty: the recipe's own default holds.
        empty = {name for name, value in changes.items() if value is None}
        self.draft.choose(**{name: _DEFAULTS[name] if name in empty else value for name, value in changes.items()})
        self._refresh()

    def start(self) -> str:
        """Start what has been chosen; returns the id of the run."""
        with self._looking:  # two views of one dashboard may press Start at the same time
            if self._run is not None and not self._run.state.over:
                raise RunError(f"run {self._run.id} is still going on; stop it first, or wait for its end")
            run = start(self.draft.recipe())
            self._ending.postpone()
            self.pictures = []
            self.watch_run(run)
        return run.id

    def replan_run(self) -> str:
        """Let the layers ticked, and no others, learn in the run shown from its next step on; returns its status then."""
        run = self._shown()
        if run.recipe.backbone != self._card.name:
            raise InputError(f"run {run.id} has other shared layers, {run.recipe.backbone}; choose these to change it")
        return run.replan(self.plan).status

    def touch(self) -> None:
        """Somebody is looking."""
        self._ending.postpone()

    def greet(self, message: Mapping[str, Any]) -> None:  # noqa: ARG002 - all views are told the same
        self.news_from_start()

    def tick(self) -> None:
        self._refresh()
        self.look()
        self._ending.settle(self)

    def _refresh(self) -> None:
        """Show what the draft says now, if it says something new."""
        with self._refreshing:
            if self._shown_revision == self.draft.revision:
                return
            revision, choices, card = self.draft.revision, self.draft.choices, self.draft.card
            if choices.task is not self._described:
                self._described = choices.task
                self.task = described(choices.task) if choices.task else {}
            with self.hold_sync():
                if self.card.get("name") != card.name or self.frozen_layers != frozen_in(card, self.draft.plan):
                    self.show_layers(card, self.draft.plan)
                self.card = _card(card, choices.settings.get("weights", "default"))
                given = {name: choices.settings.get(name, _DEFAULTS[name]) for name in FIELDS}
                self.settings = {**given, "strategy": self.draft.strategy.name}
                self.phases = self._phases(card)
                self.problem = ""
            self._shown_revision = revision
            warm.keep()  # whoever chooses will start a run

    def _phases(self, card: BackboneCard) -> list[dict[str, Any]]:
        optimiser = self.draft.choices.settings.get("optimiser", _DEFAULTS["optimiser"])
        return [
            {
                "name": p.name,
                "epochs": p.epochs,
                "lr": p.lr or strategies.default_lr(optimiser, p.plan, card),
                "solver": self.draft.solver(p),
            }
            for p in self.draft.strategy.phases
        ]

    def _frozen_ticked(self, _change: Any) -> None:
        """The tree was ticked: that is the plan of the last phase from now on."""
        with self._refreshing:
            card = self.draft.card
            if self.frozen_layers == frozen_in(card, self.draft.plan):
                return
            try:
                self.draft.choose(freeze=self.plan)
                self._shown_revision = self.draft.revision
                self.phases, self.problem = self._phases(card), ""
            except NbTransferError as error:
                self.problem = str(error)

    def as_html(self) -> str:
        return report_of(self._run, self.pictures)

    def _ipython_display_(self) -> None:
        self._ending.show(self._repr_mimebundle_()[0])

    def __repr__(self) -> str:
        return f"Dashboard({self._run!r})" if self._run else f"Dashboard({self.draft!r})"


_DEFAULTS: dict[str, Any] = {
    name: field.default for name, field in Recipe.__dataclass_fields__.items() if name not in ("task", "backbone")
}


def dashboard(
    task: Task | None = None, run: Run | str | None = None, *, draft: Draft | None = None, report_after: float | None = 120.0
) -> Dashboard:
    """The live dashboard.

    task          the target task to begin with
    run           a run to show, or its id; without a task its recipe is what the choices begin with
    draft         choices to share with other views
    report_after  seconds after which a run that has ended, untouched, is replaced by a report that lasts; None for never
    """
    draft = draft or Draft()
    run = attach(run) if isinstance(run, str) else run
    if task is not None:
        draft.choose(task=task)
    elif run is not None and draft.choices.task is None:
        draft.like(run.recipe)
    return Dashboard(draft, run, report_after=report_after)


def described(task: Task) -> dict[str, Any]:
    """A task as plain data for the browser, with some training images of the first classes."""
    return {
        "name": task.name,
        "summary": repr(task),
        "splits": [split for split in SPLITS if task.sizes[split]],
        "counts": {name: cast("dict[str, int]", counts) for name, counts in task.class_counts.items()},
        "pictures": {name: _pictures(task, name) for name in task.classes[:MOST_CLASSES]},
        "notes": list(task.notes),
    }


def _pictures(task: Task, name: str) -> list[str]:
    found = (data_url(task, sample, 72) for sample in task.some(name, PICTURES))
    return [url for url in found if url is not None]


def _row(card: BackboneCard) -> list[Any]:
    top1 = card.weights[0].top1 if card.weights else None
    return [
        card.name,
        short_number(card.params),
        short_number(card.multiply_adds),
        card.input.size,
        None if top1 is None else round(top1, 1),
    ]


def _card(card: BackboneCard, weights: str | None) -> dict[str, Any]:
    """The shared layers chosen, and what they start from."""
    own = weights is None or weights not in ("default", *(entry.name for entry in card.weights))
    published = None if own or not weights else card.weights_named(weights)
    return {
        "name": card.name,
        "params": card.params,
        "width": card.width,
        "size": card.input.size,
        "weights": f"{published.name}, {published.licence}" if published else weights or "random weights",
    }
