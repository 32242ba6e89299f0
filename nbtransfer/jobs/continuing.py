"""A new run that goes on from the weights of one that has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nbtransfer.core.recipe import Recipe
from nbtransfer.core.strategy import Strategy
from nbtransfer.errors import InputError, RunError
from nbtransfer.jobs.checks import preflight
from nbtransfer.jobs.launcher import start
from nbtransfer.jobs.run import Run
from nbtransfer.jobs.source_card import licence, lineage
from nbtransfer.pretrained.cards import card_of
from nbtransfer.store import run_names
from nbtransfer.tasks.task import Task

NAME = "continued"
_FIXED = ("backbone", "weights", "strategy", "freeze")


def continued(run: Run, epochs: int | None, task: Task | None, name: str | None, settings: Mapping[str, Any]) -> Run:
    """Start it; raises RunError while the run is in progress or has no model, InputError for settings that cannot change."""
    state = run.state
    if not state.over:
        raise RunError(f"run {run.id} is {state.status}; wait until it ends, or make it longer with run.set_epochs(…)")
    fixed = [setting for setting in settings if setting in _FIXED]
    if fixed:
        raise InputError(
            f"{fixed[0]} cannot change when a run is continued; start a new run with nt.start and weights= instead"
        )
    recipe = preflight(replace(_recipe(run, epochs), **{"task": task or run.recipe.task, **settings}))
    if name is not None:
        run_names.require_free(name)
    model = run.model()
    from nbtransfer.engine.model import initial_weights  # loads torch, as the model did

    card = card_of(run.recipe)
    kept = initial_weights.keep(model, lineage(run.id, state, run.recipe, card), licence(run.recipe, card))
    return start(replace(recipe, weights=str(kept)), name=name)


def _recipe(run: Run, epochs: int | None) -> Recipe:
    """The run's last phase as a strategy of its own, on images prepared as they were."""
    recipe, last = run.recipe, run.phases[-1]
    spec = recipe.input_for(card_of(recipe))
    phase = last if epochs is None else replace(last, epochs=epochs)
    return replace(
        recipe, strategy=Strategy(NAME, (phase,)), freeze=None, lr=None, schedule=None, image_size=spec.size,
        crop=spec.size / spec.resize,
    )  # fmt: skip
