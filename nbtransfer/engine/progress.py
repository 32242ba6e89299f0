"""How far a run has come: everything that changes from step to step beside weights and optimiser."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Self

import torch

from nbtransfer.core import codec
from nbtransfer.core import events as ev
from nbtransfer.engine.evaluate import Predictions

Score = tuple[int, float]
"""Orders epochs: correct validation images first, then the smaller loss."""
WORST: Score = (-1, -math.inf)


@dataclass
class Meter:
    """Running sums over the images of an epoch; kept on the device, read only when somebody wants to know."""

    loss: torch.Tensor
    correct: torch.Tensor
    images: int = 0
    seen_loss: float = 0.0
    seen_images: int = 0

    @classmethod
    def on(cls, device: torch.device) -> Self:
        zero = torch.zeros((), device=device)
        return cls(zero.clone(), zero.clone())

    def add(self, logits: torch.Tensor, labels: torch.Tensor, loss: torch.Tensor) -> None:
        self.loss += loss.detach() * len(labels)
        self.correct += (logits.detach().argmax(1) == labels).sum()
        self.images += len(labels)

    def recent_loss(self) -> float:
        """Mean loss since the last time this was asked."""
        total, images = self.loss.item(), self.images - self.seen_images
        recent = (total - self.seen_loss) / max(images, 1)
        self.seen_loss, self.seen_images = total, self.images
        return recent

    def tensors(self) -> dict[str, torch.Tensor]:
        """The sums, to go on with later."""
        return {"meter.loss": self.loss, "meter.correct": self.correct}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], images: int, device: torch.device) -> Self:
        """The meter whose `tensors` these were."""
        loss, correct = (tensors[name].to(device) for name in ("meter.loss", "meter.correct"))
        return cls(loss, correct, images, loss.item(), images)


@dataclass
class Progress:
    """How far a run has come, and which epochs were the best: of the run, and of the phase at work.

    phase, phase_first  the phase at work (-1 before the first), and the whole epochs before it
    epoch, step         whole epochs and steps done
    batch, elapsed      batches done of the epoch at work, and the seconds they took
    lr                  the learning rate of the head in the last step
    parts               a batch is computed in so many parts because the whole one did not fit into memory
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
    named: set[str] = field(default_factory=set)
    failure: str | None = None

    def plain(self) -> dict[str, Any]:
        """The numbers, as JSON can hold them."""
        return {name: value for name, value in vars(self).items() if name not in ("meter", "named", "failure")}

    @classmethod
    def from_plain(cls, plain: Any) -> Progress:
        """The progress whose numbers these were; raises InputError when they are not."""
        return codec.from_plain(Progress, {name: value for name, value in dict(plain).items() if name in Progress().plain()})

    def begin_phase(self, index: int) -> None:
        self.phase, self.phase_first = index, self.epoch
        self.phase_best_epoch, self.phase_best_score = self.epoch, WORST

    def left(self, epochs: int) -> int:
        """Epochs that are still to come in the phase at work, of so many."""
        return max(0, self.phase_first + epochs - self.epoch)

    def judge(self, val: Predictions) -> None:
        """An epoch has ended with this validation."""
        self.epoch, self.batch, self.elapsed, self.meter = self.epoch + 1, 0, 0.0, None
        score = (val.correct, -val.loss)
        if score > self.phase_best_score:
            self.phase_best_epoch, self.phase_best_score = self.epoch, score
        if score > self.best_score:
            self.best_epoch, self.best_score = self.epoch, score

    def why_phase_ended(self, epochs: int, *, stopped: bool) -> str:
        """Why a phase of so many epochs is over."""
        if self.failure:
            return "diverged"
        if not self.left(epochs):
            return "finished"
        return "stopped" if stopped else "no better validation score"

    def epoch_ended(
        self, phase: str, loss: float, accuracy: float, val: Predictions, lr: float, seconds: float
    ) -> ev.EpochEnded:
        """What there is to say about the epoch judged last."""
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
