"""The training loop of one phase. It yields events and safe points; its caller decides what to do with them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import torch

from nbtransfer.core import events as ev
from nbtransfer.core.text.counts import byte_size
from nbtransfer.engine.checkpointer import Checkpointer
from nbtransfer.engine.context import RunContext
from nbtransfer.engine.data.batches import Batch, TaskData
from nbtransfer.engine.data.preprocess import Normalise
from nbtransfer.engine.data.skipped import report_skipped
from nbtransfer.engine.device import Device
from nbtransfer.engine.evaluate import Predictions, predict
from nbtransfer.engine.model.optimiser import rate, set_rates
from nbtransfer.engine.model.step import forward_loss
from nbtransfer.engine.progress import Meter
from nbtransfer.engine.resumable import SAFE_POINT, Resumable
from nbtransfer.engine.seeding import seed_step
from nbtransfer.errors import TaskError

SECONDS_BETWEEN_STEPS = 0.25
PARTS = 4
"""A batch that does not fit into the memory of a GPU is computed in so many parts."""


class Loop:
    """Trains what learns in the present phase of a run on `data`, which may be pixels or cached activations."""

    def __init__(self, context: RunContext, checkpointer: Checkpointer, data: TaskData) -> None:
        self.context, self.checkpointer, self.data = context, checkpointer, data
        self.model, self.recipe, self.device = context.model, context.recipe, context.device
        self.progress, self.training_plan = context.progress, context.training_plan
        self._normalise = Normalise(self.model.spec, self.device.torch)
        self._plan = context.plan
        # One image has no statistics; a batch shrinks to one when the others cannot be decoded.
        # Whether a head of the user's own takes statistics is not known.
        self._least = 2 if self.recipe.head or any(entry.updates for entry in self._plan.values()) else 1

    def events(self) -> Resumable[None]:
        """Carry out what is left of the phase, until its end, or until it no longer gets better."""
        while not self._over():
            yield from self._epoch()

    @property
    def _phase(self) -> str:
        return self.training_plan.phases[self.progress.phase].name

    def _over(self) -> bool:
        p, epochs = self.progress, self.training_plan.phases[self.progress.phase].epochs
        worse = self.recipe.patience is not None and p.epoch - p.phase_best_epoch >= self.recipe.patience
        return worse or p.failure is not None or not p.left(epochs)

    def _epoch(self) -> Resumable[None]:
        """What is left of one epoch, and its validation."""
        if self.context.is_interrupted():
            yield SAFE_POINT
            if self._over():
                return
        p = self.progress
        p.meter = p.meter or Meter.on(self.device.torch)
        self.model.train()
        yield from self._train(p.meter)
        if p.failure:
            return
        if not p.meter.images:
            raise TaskError("none of the training images can be decoded; restore the files")
        clock = time.monotonic()
        val = yield from self._validate()
        if self._diverged(val.loss):
            return
        loss, accuracy = p.meter.loss.item() / p.meter.images, p.meter.correct.item() / p.meter.images
        seconds = p.elapsed + time.monotonic() - clock
        p.judge(val)
        yield p.epoch_ended(self._phase, loss, accuracy, val, p.lr, seconds)
        yield from self.checkpointer.save()

    def _train(self, meter: Meter) -> Resumable[None]:
        """The batches of an epoch that are left."""
        p, of = self.progress, len(self.data.train)
        clock = said = time.monotonic()
        said_images = meter.images
        for batch in self.data.train.epoch(p.epoch, p.batch):
            yield from report_skipped(batch.failed, self.data.train, "train", self.recipe, p.named)
            p.lr, momentum = self._rate(p.batch)
            set_rates(self.context.optimiser, p.lr, momentum, self._plan)
            if len(batch) >= self._least:
                seed_step(self.recipe.seed, p.epoch, p.batch)
                yield from self._learn(batch, meter)
            p.batch, p.step = p.batch + 1, p.step + 1
            now = time.monotonic()
            p.elapsed, clock = p.elapsed + now - clock, now
            if now - said >= SECONDS_BETWEEN_STEPS or p.batch == of:
                loss = meter.recent_loss()
                speed = (meter.images - said_images) / max(now - said, 1e-9)
                yield ev.Step(self._phase, p.epoch + 1, p.batch, of, loss, p.lr, speed)
                said, said_images = now, meter.images
                if self._diverged(loss):
                    return
            if p.batch < of and self.checkpointer.is_due() and meter.loss.isfinite():
                yield from self.checkpointer.save()
            if self.context.is_interrupted():
                asked = time.monotonic()
                yield SAFE_POINT
                rest = time.monotonic() - asked
                clock, said = clock + rest, said + rest

    def _learn(self, batch: Batch, meter: Meter) -> Iterator[ev.Event]:
        """One step of the optimiser."""
        try:
            self._step(batch, meter)
        except torch.cuda.OutOfMemoryError:
            if self.progress.parts > 1 or len(batch) < 2 * PARTS:
                raise
            self.progress.parts = PARTS
            yield ev.Warned(
                f"a batch of {len(batch)} does not fit into the memory of the GPU ({_peak(self.device)}); from here on it is "
                f"computed in {PARTS} parts, one step of the optimiser for all of them"
            )
        else:
            return
        self.context.optimiser.zero_grad()
        torch.cuda.empty_cache()
        self._step(batch, meter)

    def _step(self, batch: Batch, meter: Meter) -> None:
        self.context.optimiser.zero_grad()
        found = []
        for inputs, given in _in_parts(batch, self.progress.parts):
            labels = given.to(self.device.torch, non_blocking=True)
            logits, loss = forward_loss(
                self.model, self._normalise(inputs), labels, self.device, self.data.train.start, self.recipe.label_smoothing
            )
            share = loss if len(labels) == len(batch) else loss * (len(labels) / len(batch))
            self.context.scaler.scale(share).backward()  # type: ignore[no-untyped-call]
            found.append((logits, labels, loss))
        if self.recipe.clip_grad is not None:
            self.context.scaler.unscale_(self.context.optimiser)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_grad)
        self.context.scaler.step(self.context.optimiser)
        self.context.scaler.update()
        for logits, labels, loss in found:
            meter.add(logits, labels, loss)

    def _rate(self, batch: int) -> tuple[float, float]:
        """Learning rate of the head and momentum for a batch of the epoch at work."""
        p, phase, of = self.progress, self.training_plan.phases[self.progress.phase], len(self.data.train)
        done = ((p.epoch - p.phase_first) * of + batch) / (of * phase.epochs)
        share, momentum = rate(phase.schedule, done)
        return self.training_plan.lr(p.phase) * share, momentum

    def _validate(self) -> Resumable[Predictions]:
        val, only_head = Predictions(), self.data.val.start == len(self.model.backbone.stages)
        # A head alone costs next to nothing in fp32, and its scores are then those of the model that is handed on.
        device = self.device.in_fp32() if only_head else self.device
        for val in predict(self.model, self.data.val, device):  # noqa: B007 - the last one counts
            if self.context.is_interrupted():
                yield SAFE_POINT
        yield from report_skipped(val.failed, self.data.val, "val", self.recipe, self.progress.named)
        if not val.labels:
            raise TaskError("none of the validation images can be decoded; restore the files")
        return val

    def _diverged(self, loss: float) -> bool:
        """Note a loss that is no finite number: what comes after it is of no use."""
        if math.isfinite(loss):
            return False
        peak = self.training_plan.lr(self.progress.phase)
        advice = f"start again with a smaller lr, such as {peak / 10:.1g}"
        self.progress.failure = f"the loss became {loss} at learning rate {self.progress.lr:.2g}; {advice}"
        return True


def _in_parts(batch: Batch, parts: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Inputs and labels of a batch, in parts of equal size as nearly as may be, none of a single image."""
    parts = max(1, min(parts, len(batch) // 2))
    return zip(batch.inputs.tensor_split(parts), batch.labels.tensor_split(parts), strict=True)


def _peak(device: Device) -> str:
    if device.torch.type != "cuda":
        return "no figures"
    return (
        f"{byte_size(torch.cuda.max_memory_allocated(device.torch))} of {byte_size(torch.cuda.mem_get_info(device.torch)[1])}"
    )
