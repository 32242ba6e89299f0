"""What is said about a run before it begins: its phases, what will probably not go well, and with what it is made."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator

from nbtransfer.core import events as ev
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.training_plan import TrainingPlan
from nbtransfer.engine.model.transfer_model import TransferModel

SMALLEST_BATCH_FOR_STATISTICS = 16


def phase_plans(course: TrainingPlan, model: TransferModel) -> tuple[ev.PhasePlan, ...]:
    """The phases as they are now, in figures."""
    return tuple(_phase_plan(index, course, model) for index in range(len(course.phases)))


def _phase_plan(index: int, course: TrainingPlan, model: TransferModel) -> ev.PhasePlan:
    phase, solver = course.phases[index], course.solver(index)
    plan = phase.plan.resolve(model.card)
    head = sum(p.numel() for p in model.head.parameters())
    shared = sum(layer.params for layer in model.card.layers if plan[layer.name].learns)
    lr = 0.0 if solver else course.lr(index)
    return ev.PhasePlan(phase.name, phase.epochs, lr, head + shared, phase.plan.summary(model.card), solver)


def warnings(recipe: Recipe, course: TrainingPlan) -> Iterator[ev.Warned]:
    """What will work, but probably not well."""
    plans = (phase.plan.resolve(course.card) for phase in course.phases)
    updates = any(entry.updates for plan in plans for entry in plan.values())
    if updates and recipe.batch_size < SMALLEST_BATCH_FOR_STATISTICS:
        yield ev.Warned(
            f"normalisation statistics of {recipe.batch_size} images are noisy; use batch_size="
            f"{SMALLEST_BATCH_FOR_STATISTICS} or more, or keep the stored ones with FreezePlan.norm('frozen')"
        )


def versions() -> dict[str, str]:
    """What else decides the numbers, for the record."""
    found = {"python": platform.python_version()}
    for name in ("nbtransfer", "torch", "torchvision", "timm", "pillow", "numpy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
