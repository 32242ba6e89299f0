"""What a run has produced: scores, receipt, predictions, and its best model."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtransfer.core.codec import from_plain
from nbtransfer.core.evaluation import Evaluation
from nbtransfer.core.recipe import Recipe
from nbtransfer.errors import RunError
from nbtransfer.jobs.kept_model import KeptModel
from nbtransfer.jobs.run_reader import RunReader

if TYPE_CHECKING:
    from nbtransfer.engine.handoff.answers import Answers
    from nbtransfer.engine.model.transfer_model import TransferModel


def evaluation(run: RunReader, split: str | None) -> Evaluation:
    """Scores of the best model on a split; None is "test" where there is one, else "val"."""
    state = run.state
    split = split or ("test" if state.evaluation("test") else "val")
    scores = state.evaluation(split)
    if scores is None:
        raise RunError(f"run {run.id} is {state.status} and has no scores on {split!r}; wait for its end, or see its log")
    return scores


def receipt(run: RunReader) -> dict[str, str]:
    """The entry of each layer that was frozen in some phase."""
    return from_plain(dict[str, str], json.loads(_read(run, "receipt.json")))


def predictions(run: RunReader, split: str) -> list[tuple[int, int, list[float]]]:
    """For each image of a split its number, its label, and the probability of each class."""
    return [tuple(json.loads(line)) for line in _read(run, f"predictions-{split}.jsonl").splitlines()]


def model(run: RunReader, recipe: Recipe) -> TransferModel:
    """The best model, in evaluation mode on the CPU."""
    from nbtransfer.engine.checkpoints import result  # loads torch

    return result.load(run.paths, recipe)


def predict(run: RunReader, recipe: Recipe, images: Any, kept: KeptModel) -> Answers:
    """The best model's answers."""
    from nbtransfer.engine.handoff import predict  # loads torch

    return predict.predict(kept.get(run.paths, recipe), images, task=recipe.task)


def export(run: RunReader, recipe: Recipe, folder: str | os.PathLike[str]) -> Path:
    """Write the best model to a new folder."""
    from nbtransfer.engine.handoff import export  # loads torch

    return export.export(model(run, recipe), recipe, run.state.evaluations, folder)


def _read(run: RunReader, name: str) -> str:
    try:
        return (run.paths.result / name).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RunError(f"run {run.id} is {run.state.status} and has no result; wait for its end, or see its log") from error
