"""Evaluate a model on a split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch.nn import functional as F

from nbtransfer.core.evaluation import Evaluation, evaluation
from nbtransfer.core.messages import Message
from nbtransfer.engine.data.batches import Batches
from nbtransfer.engine.data.preprocess import Normalise
from nbtransfer.engine.device import Device
from nbtransfer.engine.model.transfer_model import TransferModel


@dataclass
class Predictions:
    """A model's answers for a split: `probabilities` (N, classes) for the images `numbers` with `labels`."""

    numbers: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    probabilities: list[list[float]] = field(default_factory=list)
    loss_sum: float = 0.0
    failed: list[tuple[int, Message]] = field(default_factory=list)

    @property
    def predicted_labels(self) -> list[int]:
        return [max(range(len(row)), key=row.__getitem__) for row in self.probabilities]

    @property
    def correct(self) -> int:
        return sum(p == label for p, label in zip(self.predicted_labels, self.labels, strict=True))

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats; NaN when no image could be decoded."""
        return self.loss_sum / len(self.labels) if self.labels else float("nan")

    def evaluation(self, split: str, classes: tuple[str, ...]) -> Evaluation:
        return evaluation(split, classes, self.labels, self.predicted_labels, self.loss)


def predict_all(model: TransferModel, batches: Batches, device: Device) -> Predictions:
    """Evaluate a whole split."""
    predictions = Predictions()
    for predictions in predict(model, batches, device):  # noqa: B007 - only the last is used
        pass
    return predictions


@torch.no_grad()
def predict(model: TransferModel, batches: Batches, device: Device) -> Iterator[Predictions]:
    """Evaluate batch by batch; yields the same growing Predictions after each, so that the caller can interrupt.

    Restores the mode of the model.
    """
    normalise, predictions, before = Normalise(model.spec, device.torch), Predictions(), model.training
    model.eval()
    try:
        for batch in batches.epoch(0):
            predictions.failed += batch.failed
            if len(batch):
                with device.autocast():
                    logits = model(normalise(batch.inputs), batches.start).float().cpu()
                predictions.loss_sum += F.cross_entropy(logits, batch.labels, reduction="sum").item()
                predictions.numbers += batch.numbers
                predictions.labels += batch.labels.tolist()
                predictions.probabilities += logits.softmax(1).tolist()
            yield predictions
    finally:
        model.train(before)
