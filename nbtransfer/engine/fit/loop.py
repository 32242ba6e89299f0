"""The training loop of one phase. It yields events and safe points; its caller decides what to do with them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import torch

from nbtransfer.core import events as ev
from nbtransfer.core.messages import Message, message
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
"""How many parts a batch is split into if it does not fit into the memory of a GPU."""


class Loop:
    """Trains the layers that learn in the current phase, on `data` of pixels or cached activations."""

    def __init__(self, context: RunContext, checkpointer: Checkpointer, data: TaskData) -> None:
        self.context, self.checkpointer, self.data = context, checkpointer, data
        self.model, self.recipe, self.device = context.model, context.recipe, context.device
        self.progress, self.training_plan = context.progress, context.training_plan
        self._normalise = Normalise(self.model.spec, self.device.torch)
        self._plan = context.plan
        # A single image has no batch statistics; a batch may shrink to one if the others cannot be decoded.
        # A custom head may use batch statistics too.
        self._least = 2 if self.recipe.head or any(entry.updates for entry in self._plan.values()) else 1

    def events(self) -> Resumable[None]:
        """Run the remaining epochs of the phase, until its end or until validation stops improving."""
        while not self._is_over():
            yield from self._run_epoch()

    @property
    def _phase(self) -> str:
        return self.training_plan.phases[self.progress.phase].name

    def _is_over(self) -> bool:
        p, epochs = self.progress, self.training_plan.phases[self.progress.phase].epochs
        worse = self.recipe.patience is not None and p.epoch - p.phase_best_epoch >= self.recipe.patience
        return worse or p.failure is not None or not p.epochs_left(epochs)

    def _run_epoch(self) -> Resumable[None]:
        """Run the rest of one epoch and its validation."""
        if self.context.is_interrupted():
            yield SAFE_POINT
            if self._is_over():
                return
        p = self.progress
        p.meter = p.meter or Meter.on(self.device.torch)
        self.model.train()
        yield from self._train_batches(p.meter)
        if p.failure:
            return
        if not p.meter.images:
            raise TaskError("none of the training images can be decoded; restore the files")
        clock = time.monotonic()
        val = yield from self._validate()
        if self._note_divergence(val.loss):
            return
        loss, accuracy = p.meter.loss.item() / p.meter.images, p.meter.correct.item() / p.meter.images
        seconds = p.elapsed + time.monotonic() - clock
        p.end_epoch(val)
        yield p.epoch_event(self._phase, loss, accuracy, val, p.lr, seconds)
        yield from self.checkpointer.after_epoch()

    def _train_batches(self, meter: Meter) -> Resumable[None]:
        """Train on the remaining batches of the current epoch."""
        p, of = self.progress, len(self.data.train)
        clock = reported_at = time.monotonic()
        reported_images = meter.images
        for batch in self.data.train.epoch(p.epoch, p.batch):
            yield from report_skipped(batch.failed, self.data.train, "train", self.recipe, p.reported)
            p.lr, momentum = self._rate(p.batch)
            set_rates(self.context.optimiser, p.lr, momentum, self._plan)
            if len(batch) >= self._least:
                seed_step(self.recipe.seed, p.epoch, p.batch)
                yield from self._step_within_memory(batch, meter)
            p.batch, p.step = p.batch + 1, p.step + 1
            now = time.monotonic()
            p.elapsed, clock = p.elapsed + now - clock, now
            if now - reported_at >= SECONDS_BETWEEN_STEPS or p.batch == of:
                loss = meter.recent_loss(self.recipe.batch_size)
                speed = (meter.images - reported_images) / max(now - reported_at, 1e-9)
                yield ev.Step(self._phase, p.epoch + 1, p.batch, of, loss, p.lr, speed)
                reported_at, reported_images = now, meter.images
                if self._note_divergence(loss):
                    return
            if p.batch < of and self.checkpointer.is_due() and meter.loss.isfinite():
                yield from self.checkpointer.save()
            if self.context.is_interrupted():
                asked = time.monotonic()
                yield SAFE_POINT
                rest = time.monotonic() - asked
                clock, reported_at = clock + rest, reported_at + rest

    def _step_within_memory(self, batch: Batch, meter: Meter) -> Iterator[ev.Event]:
        """Do one optimiser step, in parts if the batch does not fit into memory."""
        try:
            self._step(batch, meter)
        except torch.cuda.OutOfMemoryError:
            if self.progress.parts > 1 or len(batch) < 2 * PARTS:
                raise
            self.progress.parts = PARTS
            yield ev.Warned(_parts_message(len(batch), self.device))
        else:
            return
        self.context.optimiser.zero_grad()
        torch.cuda.empty_cache()
        self._step(batch, meter)

    def _step(self, batch: Batch, meter: Meter) -> None:
        self.context.optimiser.zero_grad()
        results = []
        for inputs, targets in _split_batch(batch, self.progress.parts):
            labels = targets.to(self.device.torch, non_blocking=True)
            logits, loss = forward_loss(
                self.model, self._normalise(inputs), labels, self.device, self.data.train.start, self.recipe.label_smoothing
            )
            share = loss if len(labels) == len(batch) else loss * (len(labels) / len(batch))
            self.context.scaler.scale(share).backward()  # type: ignore[no-untyped-call]
            results.append((logits, labels, loss))
        if self.recipe.clip_grad is not None:
            self.context.scaler.unscale_(self.context.optimiser)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_grad)
        self.context.scaler.step(self.context.optimiser)
        self.context.scaler.update()
        for logits, labels, loss in results:
            meter.add(logits, labels, loss)

    def _rate(self, batch: int) -> tuple[float, float]:
        """Learning rate of the head and momentum for a batch of the current epoch."""
        p, phase, of = self.progress, self.training_plan.phases[self.progress.phase], len(self.data.train)
        done = ((p.epoch - p.phase_first) * of + batch) / (of * phase.epochs)
        share, momentum = rate(phase.schedule, done)
        return self.training_plan.lr(p.phase) * share, momentum

    def _validate(self) -> Resumable[Predictions]:
        val, only_head = Predictions(), self.data.val.start == len(self.model.backbone.stages)
        # fp32 costs next to nothing for the head alone, and gives the scores of the final model.
        device = self.device.in_fp32() if only_head else self.device
        for val in predict(self.model, self.data.val, device):  # noqa: B007 - only the last is used
            if self.context.is_interrupted():
                yield SAFE_POINT
        yield from report_skipped(val.failed, self.data.val, "val", self.recipe, self.progress.reported)
        if not val.labels:
            raise TaskError("none of the validation images can be decoded; restore the files")
        return val

    def _note_divergence(self, loss: float) -> bool:
        """Record a failure if the loss is NaN or infinite; returns whether it is."""
        if math.isfinite(loss):
            return False
        peak = self.training_plan.lr(self.progress.phase)
        shown = "NaN" if math.isnan(loss) else "infinite"
        self.progress.failure = message("end.diverged", loss=shown, lr=self.progress.lr, smaller=peak / 10)
        return True


def _split_batch(batch: Batch, parts: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Inputs and labels of a batch in parts of about equal size, none with a single image."""
    parts = max(1, min(parts, len(batch) // 2))
    return zip(batch.inputs.tensor_split(parts), batch.labels.tensor_split(parts), strict=True)


def _parts_message(images: int, device: Device) -> Message:
    if device.torch.type != "cuda":
        return message("warn.parts", images=images, parts=PARTS)
    used, (_, total) = torch.cuda.max_memory_allocated(device.torch), torch.cuda.mem_get_info(device.torch)
    return message("warn.parts_of", images=images, parts=PARTS, used=used, total=total)
