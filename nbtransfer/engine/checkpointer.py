"""The checkpoints of a run: when one is due, what it holds, and how the run goes back to one."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping

import torch

from nbtransfer.core import events as ev
from nbtransfer.engine.checkpoints import checkpoint, result, resume
from nbtransfer.engine.checkpoints.receipt import Receipt
from nbtransfer.engine.context import RunContext
from nbtransfer.engine.model.transfer_model import HEAD
from nbtransfer.engine.progress import Meter, Progress

KEEP_LAST = 3
SECONDS_BETWEEN = 120.0

Tensors = dict[str, torch.Tensor]


class Checkpointer:
    """Writes the checkpoints of one run, and reads them.

    saved       for the best epochs, the names of the checkpoints that hold them
    originals   layers that were not to learn at first, as they were: earlier checkpoints do not hold them
    """

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.saved: dict[int, str] = {}
        self.originals: Tensors = {}
        self._saved_at, self._saved_step = time.monotonic(), 0

    def is_due(self) -> bool:
        """Whether it is time for a checkpoint inside an epoch."""
        every = self.context.recipe.checkpoint_every
        if every is not None:
            return self.context.progress.step - self._saved_step >= every
        return time.monotonic() - self._saved_at >= SECONDS_BETWEEN

    def save(self) -> Iterator[ev.Event]:
        """Write everything that is needed to go on from here; where the disk is full, wait for room."""
        p, folder = self.context.progress, self.context.paths.checkpoints
        name = checkpoint.name_for(folder, p.step)
        if p.meter is None and p.epoch > p.phase_first:  # an epoch has ended, and nothing has learned since
            self.saved[p.epoch] = name
        self.saved = {epoch: kept for epoch, kept in self.saved.items() if epoch in (p.best_epoch, p.phase_best_epoch)}
        yield from checkpoint.save_when_room(folder / name, self._tensors(), self._facts(), self.context.control.rest)
        self._saved_at, self._saved_step = time.monotonic(), p.step
        checkpoint.prune(folder, KEEP_LAST, frozenset(self.saved.values()))
        yield ev.CheckpointSaved(name, p.step)

    def _tensors(self) -> Tensors:
        context = self.context
        own = {t: v for layer in [*context.stored, HEAD] for t, v in context.model.tensors(layer).items()}
        meter = context.progress.meter.tensors() if context.progress.meter else {}
        return {**own, **meter, **resume.optimiser_tensors(context.optimiser)}

    def _facts(self) -> Mapping[str, object]:
        context, p = self.context, self.context.progress
        facts = resume.Facts(
            base=context.weights,
            strategy=context.training_plan.strategy,
            changes=len(context.training_plan.made),
            progress=p.plain(),
            images=p.meter.images if p.meter else None,
            best={str(epoch): name for epoch, name in self.saved.items()},
            stretches=tuple(context.receipt.phases),
            receipt=dict(context.receipt.checks),
            watched=context.receipt.watched.digests,
            stretch=context.receipt.stretch,
            scaler=context.scaler.state_dict() if context.scaler.is_enabled() else {},
        )
        return vars(facts)

    def go_back(self) -> Generator[ev.Event, None, str | None]:
        """Go back to the newest whole checkpoint; returns its name, None where there is none."""
        found = yield from resume.newest(self.context.paths.checkpoints, self.context.weights)
        if found is None:
            return None
        self._put_back(found)
        return found.name

    def _put_back(self, found: resume.StoredCheckpoint) -> None:
        context, facts, tensors = self.context, found.facts, found.tensors
        context.training_plan.restore_changes(facts.strategy, facts.changes)
        self.keep_originals()
        own = {name: t for name, t in tensors.items() if name.startswith(("backbone.", f"{HEAD}."))}
        result.overlay(context.model, own)
        named = context.progress.named
        context.progress = Progress.from_plain(facts.progress)
        context.progress.named = named
        if facts.images is not None:
            context.progress.meter = Meter.from_tensors(tensors, facts.images, context.device.torch)
        if context.progress.phase >= 0:
            context.model.apply_plan(context.plan)
        resume.fill_optimiser(context.optimiser, tensors)
        if facts.scaler:
            context.scaler.load_state_dict(facts.scaler)
        self.saved = {int(epoch): name for epoch, name in facts.best.items()}
        context.receipt = Receipt.from_facts(facts.stretches, facts.receipt, facts.stretch, facts.watched)
        self._saved_step = context.progress.step

    def keep_originals(self) -> None:
        """Remember layers that were not to learn at first: checkpoints made before they did do not hold them."""
        context = self.context
        plans = (phase.plan.resolve(context.card) for phase in context.training_plan.planned.phases)
        planned = {name for plan in plans for name, entry in plan.items() if entry.learns}
        for layer in context.learned:
            if layer not in planned:
                for name, tensor in context.model.tensors(layer).items():
                    self.originals.setdefault(name, tensor.clone())

    def restore_epoch(self, epoch: int) -> None:
        """Put the weights of an epoch back into the model, where it learned. Nothing else is touched."""
        context = self.context
        tensors, _ = checkpoint.load(context.paths.checkpoints / self.saved[epoch])
        tensors = {**self.originals, **tensors}
        names = (name for layer in [*context.learned, HEAD] for name in context.model.tensors(layer))
        result.overlay(context.model, {name: tensors[name] for name in names})
