"""The training loop of one phase. It yields events; whoever iterates decides what to do with them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch.nn import functional as F

from nbtransfer.core import events as ev
from nbtransfer.core.freeze import LayerPlan
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.strategy import Phase
from nbtransfer.engine import optim
from nbtransfer.engine.data import Batch, Batches, TaskData
from nbtransfer.engine.device import Device
from nbtransfer.engine.evaluate import Predictions, predict
from nbtransfer.engine.model import TransferModel
from nbtransfer.engine.preprocess import Normalise
from nbtransfer.errors import TaskError

SECONDS_BETWEEN_STEPS = 0.25


Score = tuple[int, float]
"""Orders epochs: correct validation images first, then the smaller loss."""
WORST: Score = (-1, -math.inf)


@dataclass
class Progress:
    """How far a run has come, and which epochs were the best: of the run, and of the phase at work."""

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_score: Score = WORST
    phase_best_epoch: int = 0
    phase_best_score: Score = WORST
    named: set[str] = field(default_factory=set)
    failure: str | None = None

    def begin_phase(self) -> None:
        self.phase_best_epoch, self.phase_best_score = self.epoch, WORST

    def judge(self, val: Predictions) -> None:
        """An epoch has ended with this validation."""
        self.epoch += 1
        score = (val.correct, -val.loss)
        if score > self.phase_best_score:
            self.phase_best_epoch, self.phase_best_score = self.epoch, score
        if score > self.best_score:
            self.best_epoch, self.best_score = self.epoch, score

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


@dataclass
class Meter:
    """Running sums over the images of an epoch; kept on the device, read only when somebody wants to know."""

    loss: torch.Tensor
    correct: torch.Tensor
    images: int = 0
    seen_loss: float = 0.0
    seen_images: int = 0

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


@dataclass
class Loop:
    """What one phase needs. `stopping` is asked between steps, `save` is called after each epoch."""

    model: TransferModel
    optimiser: torch.optim.Optimizer
    data: TaskData
    recipe: Recipe
    device: Device
    phase: Phase
    plan: dict[str, LayerPlan]
    lr: float
    progress: Progress
    stopping: Callable[[], bool]
    save: Callable[[], Iterator[ev.Event]]

    def __post_init__(self) -> None:
        self._normalise = Normalise(self.model.spec, self.device.torch)
        # One image has no statistics; a batch shrinks to one when the others cannot be decoded.
        self._least = 2 if any(entry.updates for entry in self.plan.values()) else 1
        self._scaler = torch.amp.GradScaler(self.device.torch.type, enabled=self.device.precision == "fp16")

    def events(self) -> Iterator[ev.Event]:
        """Carry out the phase, until its end, until it no longer gets better, or until somebody stops it."""
        first, progress = self.progress.epoch, self.progress
        progress.begin_phase()
        for epoch in range(first, first + self.phase.epochs):
            started, meter, of = time.monotonic(), self._meter(), len(self.data.train)
            said, said_images = started, 0
            self.model.train()
            for step, batch in enumerate(self.data.train.epoch(epoch), start=1):
                yield from failures(batch.failed, self.data.train, "train", self.recipe, progress)
                lr = self._set_rates((epoch - first) * of + step - 1, of * self.phase.epochs)
                if len(batch) >= self._least:
                    self._learn(batch, meter)
                progress.step += 1
                now = time.monotonic()
                if now - said >= SECONDS_BETWEEN_STEPS or step == of:
                    speed = (meter.images - said_images) / max(now - said, 1e-9)
                    loss = meter.recent_loss()
                    yield ev.Step(self.phase.name, epoch + 1, step, of, loss, lr, speed)
                    said, said_images = now, meter.images
                    if self._diverged(loss, lr):
                        return
                if self.stopping():
                    return
            if not meter.images:
                raise TaskError("none of the training images can be decoded; restore the files")
            val = yield from self._validate()
            if val is None or self._diverged(val.loss, lr):
                return
            progress.judge(val)
            loss, accuracy = meter.loss.item() / meter.images, meter.correct.item() / meter.images
            yield progress.epoch_ended(self.phase.name, loss, accuracy, val, lr, time.monotonic() - started)
            yield from self.save()
            if self.recipe.patience and progress.epoch - progress.phase_best_epoch >= self.recipe.patience:
                return

    def _learn(self, batch: Batch, meter: Meter) -> None:
        """One step of the optimiser."""
        labels = batch.labels.to(self.device.torch, non_blocking=True)
        with self.device.autocast():
            logits = self.model(self._normalise(batch.inputs), self.data.train.start).float()
            loss = F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        self.optimiser.zero_grad()
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self.recipe.clip_grad is not None:
            self._scaler.unscale_(self.optimiser)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_grad)
        self._scaler.step(self.optimiser)
        self._scaler.update()
        meter.add(logits, labels, loss)

    def _set_rates(self, step: int, steps: int) -> float:
        share, momentum = optim.rate(self.phase.schedule, step / steps)
        optim.set_rates(self.optimiser, self.lr * share, momentum, self.plan)
        return self.lr * share

    def _validate(self) -> Generator[ev.Event, None, Predictions | None]:
        """Returns None when the run was stopped meanwhile."""
        val = Predictions()
        for val in predict(self.model, self.data.val, self.device):  # noqa: B007 - the last one counts
            if self.stopping():
                return None
        yield from failures(val.failed, self.data.val, "val", self.recipe, self.progress)
        if not val.labels:
            raise TaskError("none of the validation images can be decoded; restore the files")
        return val

    def _meter(self) -> Meter:
        zero = torch.zeros((), device=self.device.torch)
        return Meter(zero.clone(), zero.clone())

    def _diverged(self, loss: float, lr: float) -> bool:
        """Note a loss that is no finite number: what comes after it is of no use."""
        if math.isfinite(loss):
            return False
        advice = f"start again with a smaller lr, such as {self.lr / 10:.1g}"
        self.progress.failure = f"the loss became {loss} at learning rate {lr:.2g}; {advice}"
        return True


def failures(
    failed: Sequence[tuple[int, str]], batches: Batches, split: str, recipe: Recipe, progress: Progress
) -> Iterator[ev.ImageSkipped]:
    """Name each image that cannot be decoded once, or give up, as the recipe says."""
    for number, reason in failed:
        source = batches.images.samples[number].source
        if recipe.on_bad_image == "fail":
            raise TaskError(f"{source} cannot be decoded: {reason}; remove it, or set on_bad_image='skip'")
        if source not in progress.named:
            progress.named.add(source)
            yield ev.ImageSkipped(source, split, reason)
