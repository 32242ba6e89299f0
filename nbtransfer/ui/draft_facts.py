"""What is chosen for the next run, as plain data for the browser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from nbtransfer.core import strategy as strategies
from nbtransfer.core.backbone import BackboneCard, WeightsCard
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.task import SPLITS, Sample
from nbtransfer.core.text import typed
from nbtransfer.jobs.draft import Draft
from nbtransfer.tasks.task import Task
from nbtransfer.ui.pictures import data_url, examples
from nbtransfer.ui.traits import CardFacts, PhaseChoice, Settings, TaskFacts

DEFAULTS: dict[str, Any] = {
    name: field.default for name, field in Recipe.__dataclass_fields__.items() if name not in ("task", "backbone")
}
"""The settings of a recipe that nobody has changed."""


def task_facts(task: Task) -> TaskFacts:
    """A task, with some training images of the first classes."""
    return {
        "name": task.name,
        "summary": repr(task),
        "splits": [split for split in SPLITS if task.sizes[split]],
        "counts": {name: cast("dict[str, int]", counts) for name, counts in task.class_counts.items()},
        "pictures": {name: _pictures(task, samples) for name, samples in examples(task).items()},
        "notes": [note for note in (task.layout, *task.notes) if note],
    }


def _pictures(task: Task, samples: Iterable[Sample]) -> list[str]:
    found = (data_url(task, sample, 72) for sample in samples)
    return [url for url in found if url is not None]


def card_facts(card: BackboneCard, weights: str | None) -> CardFacts:
    """The shared layers chosen, and what they start from."""
    custom = weights is None or weights not in ("default", *(entry.name for entry in card.weights))
    published = None if custom or not weights else card.weights_named(weights)
    return {
        "name": card.name,
        "params": card.params,
        "width": card.width,
        "size": card.input.size,
        "weights": _weights_text(card, published) if published else weights or "random weights",
    }


def _weights_text(card: BackboneCard, published: WeightsCard) -> str:
    return f"from {card.lineage}" if card.lineage else f"{published.name}, {published.licence}"


def settings_of(draft: Draft) -> Settings:
    """The settings that the page offers, as they are chosen."""
    chosen = {**DEFAULTS, **draft.choices.settings, "strategy": draft.strategy.name}
    offered = {name: chosen[name] for name in Settings.__annotations__}
    return cast("Settings", {**offered, "augment": list(chosen["augment"])})


def phases_of(draft: Draft) -> list[PhaseChoice]:
    """The phases as the next run would carry them out."""
    optimiser = draft.choices.settings.get("optimiser", DEFAULTS["optimiser"])
    return [
        {
            "name": phase.name,
            "learns": str(phase.plan.summary(draft.card)),
            "epochs": phase.epochs,
            "lr": phase.lr or strategies.default_lr(optimiser, phase.plan, draft.card),
            "solver": draft.solver(phase),
        }
        for phase in draft.strategy.phases
    ]


NUMBERS = {
    "epochs": "the number of epochs", "lr": "the learning rate", "batch_size": "the batch size", "image_size": "the image size",
    "crop": "the crop", "seed": "the seed", "holdout": "the validation share", "test": "the test share",
    "per_class": "the number of images per class",
}  # fmt: skip


def read_numbers(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a form with what was typed as numbers; raises InputError that names the field."""
    return {
        name: typed.number(value, NUMBERS[name]) if isinstance(value, str) and name in NUMBERS else value
        for name, value in fields.items()
    }
