"""Run a model over a split without changing it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch.nn import functional as F

from nbtransfer.core.evaluation import Evaluation, evaluation
from nbtransfer.engine.data.batches import Batches
from nbtransfer.engine.data.preprocess import Normalise
from nbtransfer.engine.device import Device
from nbtransfer.engine.model.transfer_model import TransferModel


@dataclass
class Predictions:
    """What a model says about a split: `probabilities` (N, classes) for the images `numbers` with `labels`."""

    numbers: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    probabilities: list[list[float]] = field(default_factory=list)
    loss_sum: float = 0.0
    failed: list[tuple[int, str]] = field(default_factory=list)

    @property
    def predicted(self) -> list[int]:
        return [max(range(len(row)), key=row.__getitem__) for row in self.probabilities]

    @property
    def correct(self) -> int:
        return sum(p == label for p, label in zip(self.predicted, self.labels, strict=True))

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats; NaN when no image could be decoded."""
        return self.loss_sum / len(self.labels) if self.labels else float("nan")

    def evaluation(self, split: str, classes: tuple[str, ...]) -> Evaluation:
        return evaluation(split, classes, self.labels, self.predicted, self.loss)


def predict_all(model: TransferModel, batches: Batches, device: Device) -> Predictions:
    """Evaluate all of a split at once."""
    found = Predictions()
    for found in predict(model, batches, device):  # noqa: B007 - the last one counts
        pass
    return found


@torch.no_grad()
def predict(model: TransferModel, batches: Batches, device: Device) -> Iterator[Predictions]:
    """Evaluate batch by batch; yields the same growing Predictions after each, so that a caller may stop in between.

    The model is left in the mode it was in.
    """
    normalise, found, before = Normalise(model.spec, device.torch), Predictions(), model.training
    model.eval()
    try:
        for batch in batches.epoch(0):
            found.failed += batch.failed
            if len(batch):
                with device.autocast():
                    logits = model(normalise(batch.inputs), batches.start).float().cpu()
                found.loss_sum += F.cross_entropy(logits, batch.labels, reduction="sum").item()
                found.numbers += batch.numbers
                found.labels += batch.labels.tolist()
                found.probabilities += logits.softmax(1).tolist()
            yield found
    finally:
        model.train(before)
