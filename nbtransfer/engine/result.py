"""What a run leaves behind, and how to read it: the learned layers, the scores, every prediction, the receipt.

Frozen layers are not written again. They are named by the sha256 of the file they came from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from nbtransfer.core.codec import dumps
from nbtransfer.core.recipe import Recipe
from nbtransfer.engine import checkpoint
from nbtransfer.engine.data import Batches
from nbtransfer.engine.device import Device
from nbtransfer.engine.evaluate import Predictions, predict
from nbtransfer.engine.model import HEAD, TransferModel, build
from nbtransfer.engine.receipt import Receipt
from nbtransfer.errors import CheckpointError, RunError, TaskError
from nbtransfer.pretrained import registry
from nbtransfer.store import atomic
from nbtransfer.store.paths import RunPaths

MODEL, EVALUATIONS, RECEIPT = "model", "evaluations.json", "receipt.json"


def judge(model: TransferModel, batches: Batches, device: Device) -> Predictions:
    """Predictions in full precision; raises TaskError when not one image can be decoded."""
    found = Predictions()
    for found in predict(model, batches, device.exactly()):  # noqa: B007 - the last one counts
        pass
    if not found.labels:
        raise TaskError(f"none of the {len(batches.images)} images to evaluate on can be decoded; restore the files")
    return found


def save_layers(folder: Path, model: TransferModel, layers: Iterable[str], base: str | None) -> None:
    """Write these layers and the head."""
    tensors = {name: tensor for layer in [*layers, HEAD] for name, tensor in model.tensors(layer).items()}
    checkpoint.save(folder, tensors, {"base": base, "backbone": model.card.name, "classes": model.classes})


def save(
    paths: RunPaths,
    model: TransferModel,
    layers: Iterable[str],
    base: str | None,
    judged: Mapping[str, Predictions],
    receipt: Receipt,
) -> None:
    """Write everything under `result/`."""
    save_layers(paths.result / MODEL, model, layers, base)
    for split, predictions in judged.items():
        rows = zip(predictions.numbers, predictions.labels, predictions.probabilities, strict=True)
        lines = (json.dumps([n, label, [round(p, 6) for p in row]]) + "\n" for n, label, row in rows)
        atomic.write_text(paths.result / f"predictions-{split}.jsonl", "".join(lines))
    scores = [p.evaluation(split, model.classes) for split, p in judged.items()]
    atomic.write_text(paths.result / EVALUATIONS, dumps(scores, indent=1))
    atomic.write_text(paths.result / RECEIPT, dumps(receipt.lines(), indent=1))


def load(paths: RunPaths, recipe: Recipe, folder: Path | None = None) -> TransferModel:
    """The model of a run in evaluation mode; `folder` picks a snapshot instead of the result.

    Raises RunError when the run has no model (yet), CheckpointError or WeightsError when a file is damaged or gone.
    """
    folder = folder or paths.result / MODEL
    if not folder.is_dir():
        raise RunError(f"run {paths.id} has no model yet; wait for its first epoch to end, or see its log")
    tensors, facts = checkpoint.load(folder)
    model, digest = build(recipe, registry.card(recipe.backbone))
    if digest != facts["base"]:
        raise CheckpointError(
            f"run {paths.id} started from other weights (sha256 {str(facts['base'])[:8]}) "
            f"than those now found ({str(digest)[:8]}); put the file it started from back"
        )
    overlay(model, tensors)
    return model.eval().requires_grad_(False)


def overlay(model: TransferModel, tensors: Mapping[str, torch.Tensor]) -> None:
    """Copy learned tensors over those of the model, all of them or none."""
    own = model.state_dict()
    wrong = [n for n, t in tensors.items() if n not in own or own[n].shape != t.shape]
    if wrong:
        raise CheckpointError(f"the stored model does not fit {model.card.name}: {wrong[0]} is unknown or of another shape")
    model.load_state_dict(tensors, strict=False)
