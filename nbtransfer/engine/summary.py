"""The summary of a run before it begins: phases, warnings, device and versions."""

from __future__ import annotations

from collections.abc import Iterator

from nbtransfer.core import events as ev
from nbtransfer.core.messages import message
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.training_plan import TrainingPlan
from nbtransfer.engine.context import RunContext
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.engine.versions import installed_versions

SMALLEST_BATCH_FOR_STATISTICS = 16


def prepared_event(context: RunContext) -> ev.Prepared:
    """Device, sizes, phases and versions of a run."""
    sizes = context.recipe.task.sizes
    return ev.Prepared(
        device=str(context.device.torch),
        device_name=context.device.name,
        precision=context.device.precision,
        threads=context.threads,
        train=sizes["train"],
        val=sizes["val"],
        test=sizes["test"],
        total=sum(p.numel() for p in context.model.parameters()),
        weights=context.weights,
        phases=phase_plans(context.training_plan, context.model),
        versions=installed_versions(),
    )


def phase_plans(training_plan: TrainingPlan, model: TransferModel) -> tuple[ev.PhasePlan, ...]:
    """The current phases in figures."""
    return tuple(_phase_plan(index, training_plan, model) for index in range(len(training_plan.phases)))


def _phase_plan(index: int, training_plan: TrainingPlan, model: TransferModel) -> ev.PhasePlan:
    phase, solver = training_plan.phases[index], training_plan.solver(index)
    plan = phase.plan.resolve(model.card)
    head = sum(p.numel() for p in model.head.parameters())
    shared = sum(layer.params for layer in model.card.layers if plan[layer.name].learns)
    lr = 0.0 if solver else training_plan.lr(index)
    return ev.PhasePlan(phase.name, phase.epochs, lr, head + shared, phase.plan.summary(model.card), solver)


def warnings(recipe: Recipe, training_plan: TrainingPlan) -> Iterator[ev.Warned]:
    """Warnings about settings that will probably not work well."""
    plans = (phase.plan.resolve(training_plan.card) for phase in training_plan.phases)
    updates = any(entry.updates for plan in plans for entry in plan.values())
    if updates and recipe.batch_size < SMALLEST_BATCH_FOR_STATISTICS:
        yield ev.Warned(message("warn.statistics", images=recipe.batch_size, least=SMALLEST_BATCH_FOR_STATISTICS))
