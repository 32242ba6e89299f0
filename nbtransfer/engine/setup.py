"""Build everything a run needs, and choose its precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from nbtransfer.core import events as ev
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.repeat import Repeat
from nbtransfer.core.state import RunState
from nbtransfer.core.training_plan import TrainingPlan, merge
from nbtransfer.engine import device, precision
from nbtransfer.engine.context import RunContext
from nbtransfer.engine.control import Control
from nbtransfer.engine.data.batches import prepare
from nbtransfer.engine.model.optimiser import build_optimiser
from nbtransfer.engine.model.transfer_model import build
from nbtransfer.pretrained import cards
from nbtransfer.store.paths import RunPaths


@dataclass(frozen=True)
class Setup:
    """A context before its first step, the decisions made so far, and the choices of earlier attempts or a repeated run."""

    context: RunContext
    decisions: list[ev.Decided]
    past_choices: Mapping[tuple[str, str], str]


def set_up(recipe: Recipe, paths: RunPaths, control: Control, past: RunState, repeat: Repeat) -> Setup:
    """Raises InputError if the recipe does not work here, WeightsError if its weights cannot be loaded."""
    card = cards.card_of(recipe)
    recipe.check_against(card)
    threads = device.use_threads(recipe.threads or (past.prepared.threads if past.prepared else None))
    chosen = device.choose(recipe.device, recipe.precision)
    torch.manual_seed(recipe.seed)
    built, weights = build(recipe, card)
    model = built.to(chosen.torch, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.compile:
        model.compile()
    # A new attempt continues a stopped run, so the stop is not repeated.
    past_changes = [change for change in past.changes if change.op != "stop"]
    training_plan = TrainingPlan(recipe, card, merge(repeat.changes, past_changes))
    optimiser = build_optimiser(model, recipe)
    scaler = torch.amp.GradScaler(chosen.torch.type, enabled=chosen.precision == "fp16")
    data = prepare(recipe, model.spec, chosen.torch)
    before = {(d.subject, d.id): d.choice for d in (*repeat.decisions, *past.decisions)}
    plan = training_plan.phases[-1].plan.resolve(card)
    chosen, decisions = precision.choose_precision(recipe, model, data.val.images, chosen, plan, before.get(("precision", "")))
    context = RunContext(
        recipe=recipe, card=card, paths=paths, control=control, model=model, weights=weights, device=chosen, threads=threads,
        training_plan=training_plan, optimiser=optimiser, scaler=scaler, data=data,
    )  # fmt: skip
    context.progress.reported = {skipped.source for skipped in past.skipped}
    return Setup(context, decisions, before)
