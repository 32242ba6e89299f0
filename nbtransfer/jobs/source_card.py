"""What saved shared layers say of themselves: how the run that made them came to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nbtransfer.core.backbone import BackboneCard, WeightsCard
from nbtransfer.core.evaluation import Evaluation
from nbtransfer.core.lineage import Lineage, SourceScore
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.state import RunState
from nbtransfer.pretrained import saved
from nbtransfer.store import kept_weights

UNKNOWN = "not stated"


def source_card(run_id: str, state: RunState, recipe: Recipe, card: BackboneCard) -> BackboneCard:
    """The card of the shared layers that a run has made of those on `card`, without the digest of their weights."""
    spec, classes = recipe.input_for(card), len(recipe.task.classes)
    weights = WeightsCard("default", saved.WEIGHTS, "", None, licence(recipe, card), spec, recipe.task.name, classes)
    made = lineage(run_id, state, recipe, card)
    return replace(card, weights=(weights,), default_input=spec, architecture=card.built_as, lineage=made)


def lineage(run_id: str, state: RunState, recipe: Recipe, card: BackboneCard) -> Lineage:
    """How a run came to its best model. The beginning of a continued run is what the run before it had made."""
    before, parent = recipe.lineage(card), None
    if recipe.weights_file is not None:
        before = kept_weights.lineage(recipe.weights_file)
        parent = f"{card.name} {Path(recipe.weights_file).name}" if before is None else f"run {before.run}"
    elif recipe.weights is not None:
        parent = f"{card.name} {card.weights_named(recipe.weights).name}"
    return Lineage(
        task=recipe.task.name, task_digest=recipe.task.digest, classes=recipe.task.classes, run=run_id,
        strategy=recipe.strategy_name, scores=tuple(map(source_score, state.evaluations)), parent=parent,
        parent_digest=state.prepared.weights if state.prepared else None, before=before,
    )  # fmt: skip


def source_score(of: Evaluation) -> SourceScore:
    """An evaluation as a lineage states it."""
    return SourceScore(of.split, "accuracy", of.accuracy, of.interval.low, of.interval.high, of.examples)


def licence(recipe: Recipe, card: BackboneCard) -> str:
    """The licence of the weights that a run began with, as far as it is known."""
    if recipe.weights is None:
        return UNKNOWN
    if recipe.weights_file is None:
        return card.weights_named(recipe.weights).licence
    return kept_weights.licence(recipe.weights_file) or f"that of {Path(recipe.weights_file).name}"
