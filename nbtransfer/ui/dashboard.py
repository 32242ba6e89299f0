"""The dashboard: data, shared layers, what may learn, a run and its result, in one widget."""

from __future__ import annotations

import threading
from typing import Any, Unpack

import traitlets

from nbtransfer.core.calls import checked
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.recipe import AUGMENTATIONS, Recipe
from nbtransfer.core.strategy import STRATEGIES
from nbtransfer.core.tree import frozen_in
from nbtransfer.errors import NbTransferError, RecipeError
from nbtransfer.jobs import warm
from nbtransfer.jobs.draft import Draft
from nbtransfer.jobs.run import Run, attach
from nbtransfer.jobs.unusual import unusual
from nbtransfer.pretrained import listing
from nbtransfer.tasks.task import Task
from nbtransfer.ui import backbone_search
from nbtransfer.ui.comparison_controller import ComparisonController
from nbtransfer.ui.draft_facts import DEFAULTS, card_facts, phases_of, read_numbers, settings_of, task_facts
from nbtransfer.ui.kept_report import KeptReport, kept_html
from nbtransfer.ui.layers_controller import LayersController
from nbtransfer.ui.messages import BackboneQuery, BackbonesFound, Changes
from nbtransfer.ui.run_controller import RunController
from nbtransfer.ui.traits import (
    CardFacts,
    Empty,
    NamedChoice,
    NodeRow,
    Options,
    Past,
    PhaseChoice,
    ResultFacts,
    RunFacts,
    Settings,
    TaskFacts,
)
from nbtransfer.ui.widget import Panel, Trait, bundle, synced


class Dashboard(Panel):
    """All of it in one place. Made by `nbtransfer.dashboard`.

    What is chosen here is kept in `draft`, which the magics of the same kernel share. `current` is the run shown.
    """

    _esm = bundle("dashboard")

    task: Trait[TaskFacts | Empty] = synced(traitlets.Dict())
    backbones: Trait[list[NamedChoice]] = synced(traitlets.List())
    card: Trait[CardFacts] = synced(traitlets.Dict())
    settings: Trait[Settings] = synced(traitlets.Dict())
    options: Trait[Options] = synced(traitlets.Dict())
    phases: Trait[list[PhaseChoice]] = synced(traitlets.List())
    past: Trait[Past] = synced(traitlets.Dict())
    nodes: Trait[list[NodeRow]] = synced(traitlets.List())
    frozen: Trait[list[str]] = synced(traitlets.List(traitlets.Unicode()))
    rates: Trait[dict[str, float]] = synced(traitlets.Dict())
    run: Trait[RunFacts | Empty] = synced(traitlets.Dict())
    log: Trait[str] = synced(traitlets.Unicode())
    result: Trait[ResultFacts | Empty] = synced(traitlets.Dict())

    def __init__(self, draft: Draft, run: Run | None = None) -> None:
        super().__init__()
        self.draft = draft
        self._asked_about: Recipe | None = None
        self._refreshing = threading.RLock()  # the pump, a request and a cell may all bring news
        self._shown_revision = -1
        self._shown_task: Task | None = None
        self._layers = LayersController(self, draft.card, draft.plan)
        self._runs = RunController(self, run)
        self._comparison = ComparisonController(lambda: self.current)
        self._kept = KeptReport(lambda: self._runs.shown, lambda: self.pictures)
        self._operations = {
            "data": self.choose_data,
            "choose": self.choose,
            "undo": self.undo,
            "find": self.find,
            "start": self.start,
            "stop": self._runs.stop,
            "pause": self._runs.pause,
            "resume": self._runs.resume,
            "replan": self.replan,
            "snapshots": self._comparison.choices,
            "explain": self._comparison.explain,
        }
        self.options = {"strategy": list(STRATEGIES), "augment": list(AUGMENTATIONS)}
        self.backbones = [backbone_search.choice(entry) for entry in listing.backbones()]
        self._refresh()
        self.observe(self._take_frozen, "frozen")

    @property
    def current(self) -> Run | None:
        """The run shown. Thread: any."""
        return self._runs.run

    @property
    def pictures(self) -> list[str]:
        """The newest comparisons of the run shown, as SVG. Thread: any."""
        return self._comparison.pictures

    @property
    def frozen_layers(self) -> frozenset[str]:
        """Names of all frozen layers. Thread: any."""
        return self._layers.frozen_layers

    @property
    def plan(self) -> FreezePlan:
        """The freeze plan that is ticked. Thread: any."""
        return self._layers.plan

    def choose_data(self, source: str, **options: Any) -> None:
        """Take a folder of labelled images, or `demo:NAME`, as the target task. Thread: any."""
        self.draft.choose(task=Task.named(source, **read_numbers(options)))
        self._refresh()

    def choose(self, **changes: Unpack[Changes]) -> None:
        """Change the backbone or settings; checked at once. None takes the recipe's default. Thread: any."""
        read = read_numbers(changes)
        chosen: dict[str, Any] = {n: DEFAULTS.get(n) if value is None else value for n, value in read.items()}
        if "augment" in chosen:
            chosen["augment"] = tuple(chosen["augment"])
        self.draft.choose(**chosen)
        self._refresh()

    def undo(self) -> None:
        """Take back the last choice, wherever it was made. Thread: any."""
        self.draft.undo()
        self._refresh()

    def find(self, **query: Unpack[BackboneQuery]) -> BackbonesFound:
        """Backbones that match. Thread: any."""
        return backbone_search.search(query)

    def start(self) -> str:
        """Start what has been chosen; returns the id of the run. Thread: any.

        Raises RecipeError once for settings that are hardly meant; asked again for the same, it starts.
        """
        recipe = self.draft.recipe()
        if (found := "; ".join(unusual(recipe))) and recipe != self._asked_about:
            self._asked_about = recipe
            raise RecipeError(f"{found}; change it, or press Start again if you mean it")
        run = self._runs.start(recipe)
        self._comparison.clear()
        return run.id

    def replan(self) -> str:
        """Apply the ticks to the run shown, from its next step on; returns its status then. Thread: any."""
        return self._runs.replan(self.plan, self._layers.card.name)

    def greet(self) -> None:
        """Thread: kernel."""
        self._runs.tell_all()

    def tick(self) -> None:
        """Thread: pump."""
        self._refresh()
        self._runs.look()
        self._kept.update()

    def _refresh(self) -> None:
        """Show what the draft says now, if it says something new. Thread: any."""
        with self._refreshing:
            revision = self.draft.revision
            if self._shown_revision == revision:
                return
            self._show_task(self.draft.choices.task)
            with self.hold_sync():
                self._show_choices()
            self._shown_revision = revision
            warm.keep()  # a run is likely to follow

    def _show_task(self, task: Task | None) -> None:
        if task is not self._shown_task:
            self._shown_task = task
            self.task = task_facts(task) if task else {}

    def _show_choices(self) -> None:
        card, plan = self.draft.card, self.draft.plan
        if not self._layers.shows(card, plan):
            self._layers.show(card, plan)
        self.card = card_facts(card, self.draft.choices.settings.get("weights", "default"))
        self.settings = settings_of(self.draft)
        self._show_plan()

    def _show_plan(self) -> None:
        self.phases = phases_of(self.draft)
        self.past = {"undo": self.draft.changed, "dropped_plan": self.draft.dropped_plan}
        self.problem = ""

    def _take_frozen(self, _change: object) -> None:
        """The tree was ticked: that is the plan of the last phase from now on. Thread: any."""
        with self._refreshing:
            if self.frozen_layers == frozen_in(self.draft.card, self.draft.plan):
                return
            try:
                self.draft.choose(freeze=self.plan)
                self._shown_revision = self.draft.revision
                self._show_plan()
            except NbTransferError as error:
                self.problem = str(error)

    def as_html(self) -> str:
        """Thread: any."""
        return kept_html(self._runs.shown, self.pictures)

    def _ipython_display_(self) -> None:
        self._kept.show(self._repr_mimebundle_()[0])

    def __repr__(self) -> str:
        return f"Dashboard({self.current!r})" if self.current else f"Dashboard({self.draft!r})"


@checked()
def dashboard(task: Task | Run | None = None, run: Run | str | None = None, *, draft: Draft | None = None) -> Dashboard:
    """The live dashboard. A report of the runs it shows lies beneath it, which a saved notebook keeps.

    task    the target task to begin with, or the run to show
    run     a run to show, or its id; without a task its recipe is what the choices begin with
    draft   choices to share with other views
    """
    if isinstance(task, Run):
        task, run = None, run or task
    draft = draft or Draft()
    run = attach(run) if isinstance(run, str) else run
    if task is not None:
        draft.choose(task=task)
    elif run is not None and draft.choices.task is None:
        draft.like(run.recipe)
    return Dashboard(draft, run)
