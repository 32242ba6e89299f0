"""The result of a run on the disk: the learned layers, every prediction, the receipt.

Frozen layers are not stored again, only the sha256 of their file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from nbtransfer.core.codec import dumps
from nbtransfer.core.recipe import Recipe
from nbtransfer.engine.checkpoints import checkpoint
from nbtransfer.engine.checkpoints.receipt import Receipt
from nbtransfer.engine.evaluate import Predictions
from nbtransfer.engine.model.transfer_model import HEAD, TransferModel, build
from nbtransfer.errors import CheckpointError, RunError
from nbtransfer.pretrained import cards
from nbtransfer.store import atomic
from nbtransfer.store.paths import RunPaths

RECEIPT = "receipt.json"


def save_layers(folder: Path, model: TransferModel, layers: Iterable[str], base: str | None) -> None:
    """Save these layers and the head."""
    tensors = {name: tensor for layer in [*layers, HEAD] for name, tensor in model.tensors(layer).items()}
    checkpoint.save(folder, tensors, {"base": base, "backbone": model.card.name, "classes": model.classes})


def save_model(paths: RunPaths, model: TransferModel, layers: Iterable[str], base: str | None, receipt: Receipt) -> None:
    """Save the best model and the receipt."""
    save_layers(paths.best_model, model, layers, base)
    atomic.write_text(paths.result / RECEIPT, dumps(receipt.lines(), indent=1))


def save_predictions(paths: RunPaths, split: str, predictions: Predictions) -> None:
    """Save the predictions for a split, one line per image."""
    rows = zip(predictions.numbers, predictions.labels, predictions.probabilities, strict=True)
    lines = (dumps([number, label, [round(p, 6) for p in row]]) + "\n" for number, label, row in rows)
    atomic.write_text(paths.result / f"predictions-{split}.jsonl", "".join(lines))


def load(paths: RunPaths, recipe: Recipe, folder: Path | None = None) -> TransferModel:
    """The model of a run in evaluation mode; `folder` picks a snapshot instead of the result.

    Raises RunError when the run has no model (yet), CheckpointError or WeightsError when a file is damaged or gone.
    """
    folder = folder or paths.best_model
    if not folder.is_dir():
        raise RunError(f"run {paths.id} has no model yet; wait for its first epoch to end, or see its log")
    tensors, facts = checkpoint.load(folder)
    model, digest = build(recipe, cards.card_of(recipe))
    checkpoint.check_base(facts["base"], digest, f"run {paths.id}")
    overlay(model, tensors)
    return model.eval().requires_grad_(False)


def overlay(model: TransferModel, tensors: Mapping[str, torch.Tensor]) -> None:
    """Load learned tensors into the model, all of them or none."""
    state = model.state_dict()
    wrong = [n for n, t in tensors.items() if n not in state or state[n].shape != t.shape]
    if wrong:
        raise CheckpointError(f"the stored model does not fit {model.card.name}: {wrong[0]} is unknown or of another shape")
    model.load_state_dict(tensors, strict=False)
