"""What a run has produced: scores, receipt, predictions, and its best model."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.codec import from_plain
from nbtransfer.core.evaluation import Evaluation
from nbtransfer.core.recipe import OWN_NET, Recipe
from nbtransfer.core.state import RunState
from nbtransfer.core.text.names import suggest
from nbtransfer.core.verdict import verdict
from nbtransfer.engine.handoff import formats
from nbtransfer.errors import InputError, NbTransferError, RunError
from nbtransfer.jobs.kept_model import KeptModel
from nbtransfer.jobs.run_reader import RunReader
from nbtransfer.jobs.source_card import source_card
from nbtransfer.pretrained import saved

if TYPE_CHECKING:
    from nbtransfer.engine.handoff.answers import Answers
    from nbtransfer.engine.model.transfer_model import TransferModel


JUDGED = ("val", "test")


def evaluation(run: RunReader, recipe: Recipe, split: str | None) -> Evaluation:
    """Scores of the best model on a split; None is "test" where there is one, else "val"."""
    state = run.state
    split = ("test" if state.evaluation("test") else "val") if split is None else split
    scores = state.evaluation(split)
    if scores is None:
        raise _why_nothing(run, recipe, split, "scores")
    return scores


def _why_nothing(run: RunReader, recipe: Recipe, split: str, what: str) -> NbTransferError:
    """The error for what a run does not have: the split is not judged, or the run has not come so far, or never will."""
    if split not in JUDGED:
        hint = "they are of 'val' and 'test'" if split == "train" else suggest(split, JUDGED)
        return InputError(f"run {run.id} has no {what} on {split!r}; {hint}")
    if not recipe.task.sizes[split]:  # type: ignore[index]
        return InputError(
            f"the task of run {run.id} has no {split} images; use 'val', or make the task with a share for it, such as test=0.2"
        )
    return RunError(f"run {run.id} is {run.state.status} and has no {what} on {split!r}; {what_to_do(run.state)}")


def no_model(run_id: str, state: RunState) -> RunError:
    """The error for a run without a model: it has not come so far, or it ended before, and why."""
    why = f" ({state.message})" if state.status == "failed" and state.message else ""
    hint = what_to_do(state) if state.over or state.status == "paused" else "wait for its first epoch to end"
    return RunError(f"run {run_id} is {state.status} and has no model yet{why}; {hint}")


def what_to_do(state: RunState) -> str:
    """How to come to the result of a run that has none."""
    if state.status == "finished":
        return "see its log: none of its images could be decoded"
    if state.status == "stopped":
        return "resume it and let it finish"
    if state.over:
        return "see its log, then resume it, or start another"
    return "resume it" if state.status == "paused" else "wait until it ends"


def receipt(run: RunReader) -> dict[str, str]:
    """The entry of each layer that was frozen in some phase."""
    try:
        return from_plain(dict[str, str], json.loads((run.paths.result / "receipt.json").read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise RunError(f"run {run.id} is {run.state.status} and has no receipt; {what_to_do(run.state)}") from error


def predictions(run: RunReader, recipe: Recipe, split: str) -> list[tuple[int, int, list[float]]]:
    """For each image of a split its number, its label, and the probability of each class."""
    if split not in JUDGED:  # before it becomes part of a path
        raise _why_nothing(run, recipe, split, "predictions")
    try:
        lines = (run.paths.result / f"predictions-{split}.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise _why_nothing(run, recipe, split, "predictions") from None
    return [tuple(json.loads(line)) for line in lines]


def model(run: RunReader, recipe: Recipe) -> TransferModel:
    """The best model, in evaluation mode on the CPU; it checks what it is called with."""
    from nbtransfer.engine.model.expected_input import check_input  # loads torch

    return check_input(_load(run, recipe))


def _require_model(run: RunReader) -> None:
    if not run.paths.best_model.is_dir():
        raise no_model(run.id, run.state)


def _load(run: RunReader, recipe: Recipe) -> TransferModel:
    _require_model(run)
    from nbtransfer.engine.checkpoints import result  # loads torch

    return result.load(run.paths, recipe)


def predict(run: RunReader, recipe: Recipe, images: Any, kept: KeptModel) -> Answers:
    """The best model's answers."""
    _require_model(run)
    from nbtransfer.engine.handoff import predict  # loads torch

    return predict.predict(kept.get(run.paths, recipe), images, task=recipe.task)


def save_backbone(run: RunReader, recipe: Recipe, card: BackboneCard, name: str) -> BackboneCard:
    """Save the shared layers of the best model under a name, with their lineage."""
    state = run.state
    saved.require_free(name)
    _require_model(run)
    if not state.over:
        raise RunError(f"run {run.id} is {state.status}; stop it, or wait until it ends, before you save its shared layers")
    from nbtransfer.engine.handoff import backbone_files  # loads torch

    model = _load(run, recipe)
    made = replace(source_card(run.id, state, recipe, card), multiply_adds=backbone_files.multiply_adds(model))
    codes = [code for code in recipe.code if card.built_as.startswith(f"{OWN_NET}{code.name}.")]
    return saved.write(name, made, lambda folder: backbone_files.write(folder, model), codes)


def export(run: RunReader, recipe: Recipe, folder: str | os.PathLike[str], name: str) -> Path:
    """Write the best model to a new folder, in the format called `name`."""
    formats.check_name(name)
    from nbtransfer.engine.handoff import export  # loads torch

    state = run.state
    caveats = verdict(state, recipe.task).caveats
    return export.export(_load(run, recipe), recipe, state.evaluations, folder, name, caveats)
