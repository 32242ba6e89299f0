"""The progress of a run: everything that changes from step to step, apart from weights and optimiser."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Self

import torch

from nbtransfer.core import codec
from nbtransfer.core import events as ev
from nbtransfer.core.messages import Message
from nbtransfer.engine.evaluate import Predictions

Score = tuple[int, float]
"""Ranks epochs: by correct validation images, then by the smaller loss."""
WORST: Score = (-1, -math.inf)


@dataclass
class Meter:
    """Running sums over the images of an epoch. They stay on the device: reading them is slow."""

    loss: torch.Tensor
    correct: torch.Tensor
    images: int = 0
    seen_loss: float = 0.0
    seen_images: int = 0
    before: tuple[float, int] = (0.0, 0)

    @classmethod
    def on(cls, device: torch.device) -> Self:
        zero = torch.zeros((), device=device)
        return cls(zero.clone(), zero.clone())

    def add(self, logits: torch.Tensor, labels: torch.Tensor, loss: torch.Tensor) -> None:
        self.loss += loss.detach() * len(labels)
        self.correct += (logits.detach().argmax(1) == labels).sum()
        self.images += len(labels)

    def recent_loss(self, least: int) -> float:
        """Mean loss since the last call, and since the one before where fewer than `least` images are new: two say little."""
        total, seen = self.loss.item(), (self.seen_loss, self.seen_images)
        loss, images = self.before if self.images - self.seen_images < least else seen
        self.before, self.seen_loss, self.seen_images = seen, total, self.images
        return (total - loss) / max(self.images - images, 1)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The sums, for a checkpoint."""
        return {"meter.loss": self.loss, "meter.correct": self.correct}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], images: int, device: torch.device) -> Self:
        """The inverse of `tensors`."""
        loss, correct = (tensors[name].to(device) for name in ("meter.loss", "meter.correct"))
        return cls(loss, correct, images, loss.item(), images)


@dataclass
class Progress:
    """The progress of a run, with the best epochs of the run and of the current phase.

    phase, phase_first  the current phase (-1 before the first), and the epochs completed before it
    epoch, step         epochs and steps completed
    batch, elapsed      batches completed in the current epoch, and their seconds
    lr                  the learning rate of the head in the last step
    parts               how many parts a batch is split into, if a whole one does not fit into memory
    reported            sources of skipped images that were reported
    """

    phase: int = -1
    phase_first: int = 0
    epoch: int = 0
    step: int = 0
    batch: int = 0
    elapsed: float = 0.0
    lr: float = 0.0
    parts: int = 1
    best_epoch: int = 0
    best_score: Score = WORST
    phase_best_epoch: int = 0
    phase_best_score: Score = WORST
    meter: Meter | None = None
    reported: set[str] = field(default_factory=set)
    failure: Message | None = None

    def to_plain(self) -> dict[str, Any]:
        """The numbers, for JSON."""
        return {name: value for name, value in vars(self).items() if name not in ("meter", "reported", "failure")}

    @classmethod
    def from_plain(cls, plain: Any) -> Progress:
        """The inverse of `to_plain`; raises InputError for anything else."""
        return codec.from_plain(Progress, {name: value for name, value in dict(plain).items() if name in Progress().to_plain()})

    def begin_phase(self, index: int) -> None:
        self.phase, self.phase_first = index, self.epoch
        self.phase_best_epoch, self.phase_best_score = self.epoch, WORST

    def epochs_left(self, epochs: int) -> int:
        """Epochs left in the current phase, out of `epochs`."""
        return max(0, self.phase_first + epochs - self.epoch)

    def end_epoch(self, val: Predictions) -> None:
        """Count an epoch that ended with this validation, and update the best epochs."""
        self.epoch, self.batch, self.elapsed, self.meter = self.epoch + 1, 0, 0.0, None
        score = (val.correct, -val.loss)
        if score > self.phase_best_score:
            self.phase_best_epoch, self.phase_best_score = self.epoch, score
        if score > self.best_score:
            self.best_epoch, self.best_score = self.epoch, score

    def phase_end_reason(self, epochs: int, *, stopped: bool) -> ev.PhaseEnd:
        """Why the current phase, planned for `epochs`, has ended."""
        if self.failure:
            return "diverged"
        if not self.epochs_left(epochs):
            return "finished"
        return "stopped" if stopped else "patience"

    def epoch_event(
        self, phase: str, loss: float, accuracy: float, val: Predictions, lr: float, seconds: float
    ) -> ev.EpochEnded:
        """The event for the epoch that ended last."""
        return ev.EpochEnded(
            phase=phase,
            epoch=self.epoch,
            step=self.step,
            train_loss=loss,
            train_accuracy=accuracy,
            val_loss=val.loss,
            val_correct=val.correct,
            val_examples=len(val.labels),
            lr=lr,
            seconds=seconds,
            best=self.best_epoch == self.epoch,
        )
