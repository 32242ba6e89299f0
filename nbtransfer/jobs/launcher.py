"""Start a run: write its folder, then let go of a process that outlives this one."""

from __future__ import annotations

from typing import Any

from nbtransfer.core.calls import checked
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.repeat import Repeat
from nbtransfer.core.strategy import SCRATCH
from nbtransfer.core.task import TaskCard
from nbtransfer.errors import NbTransferError, RecipeError
from nbtransfer.jobs import own_runs, process
from nbtransfer.jobs.checks import preflight
from nbtransfer.jobs.run import Run
from nbtransfer.jobs.run_commands import require_known_format
from nbtransfer.pretrained import saved
from nbtransfer.store import run_names, runs


@checked()
def start(recipe: Recipe, *, name: str | None = None) -> Run:
    """Start a run in the background and return at once.

    name   of the run, by which it is found wherever an id is taken; see `Run.rename`

    The run goes on when the notebook is closed or its kernel restarts. Raises an InputError when the recipe cannot work.
    """
    if name is not None:
        run_names.require_free(name)
    return _started(recipe, Repeat(), name)


PRETRAINING: dict[str, Any] = {"strategy": SCRATCH, "weights": None, "freeze": None}
SOURCE_EPOCHS = 20


@checked()
def pretrain(
    task: TaskCard, backbone: str = "resnet18", *, epochs: int = SOURCE_EPOCHS, name: str | None = None, **settings: Any
) -> Run:
    """Train shared layers on a source task, from random weights; `run.save_backbone` then keeps them for other tasks.

    backbone  its architecture; see `nbtransfer.backbones()`
    name      of the run
    settings  any other fields of its Recipe, such as lr

    A run like any other: it can be watched, changed and resumed. Raises an InputError when the recipe cannot work.
    """
    fixed = next((field for field in PRETRAINING if field in settings), None)
    if fixed is not None:
        raise RecipeError(f"pretrain starts from random weights, and everything learns; leave {fixed}= out, or use start")
    if backbone.startswith(saved.PREFIX):
        raise RecipeError(f"pretrain starts from random weights, so those of {backbone} would not be used; use start instead")
    return start(Recipe(task=task, backbone=backbone, epochs=epochs, **PRETRAINING, **settings), name=name)


@checked()
def repeat(run: Run) -> Run:
    """Start a run that does what another one did: the same recipe, and the same changes at the same steps.

    Where device, versions and threads are the same too, it ends with the same weights, bit for bit.
    """
    state = run.state
    require_known_format(run.paths, state)
    if state.prepared is not None:
        saved.require_weights(run.recipe.backbone, state.prepared.weights, run.id)
    earlier = runs.read_repeat(run.paths)
    changes, decisions = (*earlier.changes, *state.changes), (*earlier.decisions, *state.decisions)
    return _started(run.recipe, Repeat(run.id, changes, decisions))


def _started(recipe: Recipe, history: Repeat, name: str | None = None) -> Run:
    recipe = preflight(recipe)
    paths = runs.create(recipe, history)
    if name is not None:
        try:
            run_names.write(paths, name)
        except NbTransferError:
            runs.delete(paths)  # it has no worker yet, and would never get one
            raise
    process.launch(paths)
    own_runs.add(paths)
    return Run(paths)
