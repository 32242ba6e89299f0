"""The checkpoints of a run: when to save, what to save, and how to restore."""

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
from nbtransfer.store import checkpoints

KEEP_LAST = 3
SECONDS_BETWEEN = 120.0
SHARE = 0.05
"""The share of the time that checkpoints after epochs may take. What is not on the disk can be done again, bit for bit."""
BYTES_PER_SECOND = 250e6
"""How fast the first checkpoint is expected to be written; later ones take as long as the one before."""

Tensors = dict[str, torch.Tensor]


class Checkpointer:
    """Writes and reads the checkpoints of one run.

    best_checkpoints   names of the checkpoints that hold the best epochs, by epoch
    best_tensors       what was learned by the best epochs that no checkpoint holds yet
    originals          initial tensors of layers that were thawed by a change: earlier checkpoints do not have them
    """

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.best_checkpoints: dict[int, str] = {}
        self.best_tensors: dict[int, Tensors] = {}
        self.originals: Tensors = {}
        self._saved_at, self._saved_step = time.monotonic(), 0
        self._cost: float | None = None

    def is_due(self) -> bool:
        """Whether to save a checkpoint in the middle of an epoch."""
        every = self.context.recipe.checkpoint_every
        if every is not None:
            return self.context.progress.step - self._saved_step >= every
        return time.monotonic() - self._saved_at >= SECONDS_BETWEEN

    def after_epoch(self) -> Iterator[ev.Event]:
        """Save a checkpoint if it is worth its time; else keep what a best epoch has learned in memory."""
        p = self.context.progress
        if self._is_worth_its_time():
            yield from self.save()
        elif p.epoch in (p.best_epoch, p.phase_best_epoch):
            self.best_tensors[p.epoch] = {name: tensor.clone() for name, tensor in self._learned().items()}
            self._forget_others()

    def _is_worth_its_time(self) -> bool:
        if self.context.recipe.checkpoint_every is not None:
            return True
        size = sum(tensor.nbytes for tensor in self._tensors().values())
        cost = size / BYTES_PER_SECOND if self._cost is None else self._cost
        elapsed = time.monotonic() - self._saved_at
        return elapsed >= SECONDS_BETWEEN or cost <= SHARE * elapsed

    def save(self) -> Iterator[ev.Event]:
        """Save everything that is needed to continue from here; if the disk is full, wait for space."""
        p, folder, began = self.context.progress, self.context.paths.checkpoints, time.monotonic()
        name = checkpoints.name_for(folder, p.step)
        if p.meter is None and p.epoch > p.phase_first:  # right after an epoch: no step has been done since
            self.best_checkpoints[p.epoch] = name
            self.best_tensors.pop(p.epoch, None)
        self._forget_others()
        self.best_checkpoints.update(dict.fromkeys(self.best_tensors, name))
        yield from checkpoint.save_when_room(folder / name, self._tensors(), self._facts(), self.context.control.rest)
        self.best_tensors.clear()
        self._saved_at, self._saved_step = time.monotonic(), p.step
        self._cost = self._saved_at - began
        checkpoints.prune(folder, KEEP_LAST, frozenset(self.best_checkpoints.values()))
        yield ev.CheckpointSaved(name, p.step)

    def _forget_others(self) -> None:
        """Forget all epochs that are the best ones no more."""
        best = self.context.progress.best_epoch, self.context.progress.phase_best_epoch
        for known in (self.best_checkpoints, self.best_tensors):
            for epoch in [epoch for epoch in known if epoch not in best]:
                del known[epoch]

    def _learned(self) -> Tensors:
        """The tensors of the head and of all layers that learn in some phase."""
        layers = [*self.context.learned_layers, HEAD]
        return {name: tensor for layer in layers for name, tensor in self.context.model.tensors(layer).items()}

    def _tensors(self) -> Tensors:
        context = self.context
        best = {_best_name(e, name): t for e, tensors in self.best_tensors.items() for name, t in tensors.items()}
        layers = {t: v for layer in [*context.stored_layers, HEAD] for t, v in context.model.tensors(layer).items()}
        meter = context.progress.meter.tensors() if context.progress.meter else {}
        return {**layers, **best, **meter, **resume.optimiser_tensors(context.optimiser)}

    def _facts(self) -> Mapping[str, object]:
        context, p = self.context, self.context.progress
        facts = resume.Facts(
            base=context.weights,
            strategy=context.training_plan.strategy,
            changes=len(context.training_plan.made),
            progress=p.to_plain(),
            images=p.meter.images if p.meter else None,
            best={str(epoch): name for epoch, name in self.best_checkpoints.items()},
            stretches=tuple(context.receipt.phases),
            receipt=dict(context.receipt.checks),
            watched=context.receipt.watched.digests,
            stretch=context.receipt.stretch,
            scaler=context.scaler.state_dict() if context.scaler.is_enabled() else {},
            layers=resume.layers_digest(context.card),
        )
        return vars(facts)

    def restore_newest(self) -> Generator[ev.Event, None, str | None]:
        """Restore the newest complete checkpoint and return its name; None if there is none."""
        stored = yield from resume.find_newest(self.context.paths.checkpoints, self.context.weights)
        if stored is None:
            return None
        resume.check_layers(stored, self.context.card)
        self._restore(stored)
        return stored.name

    def _restore(self, stored: resume.StoredCheckpoint) -> None:
        context, facts, tensors = self.context, stored.facts, stored.tensors
        context.training_plan.restore_changes(facts.strategy, facts.changes)
        self.keep_originals()
        layers = {name: t for name, t in tensors.items() if name.startswith(("backbone.", f"{HEAD}."))}
        result.overlay(context.model, layers)
        reported = context.progress.reported
        context.progress = Progress.from_plain(facts.progress)
        context.progress.reported = reported
        if facts.images is not None:
            context.progress.meter = Meter.from_tensors(tensors, facts.images, context.device.torch)
        if context.progress.phase >= 0:
            context.model.apply_plan(context.plan)
        resume.fill_optimiser(context.optimiser, tensors)
        if facts.scaler:
            context.scaler.load_state_dict(facts.scaler)
        self.best_checkpoints = {int(epoch): name for epoch, name in facts.best.items()}
        context.receipt = Receipt.from_facts(facts.stretches, facts.receipt, facts.stretch, facts.watched)
        self._saved_step = context.progress.step

    def keep_originals(self) -> None:
        """Keep the initial tensors of layers thawed by a change: earlier checkpoints do not have them."""
        context = self.context
        plans = (phase.plan.resolve(context.card) for phase in context.training_plan.planned.phases)
        planned = {name for plan in plans for name, entry in plan.items() if entry.learns}
        for layer in context.learned_layers:
            if layer not in planned:
                for name, tensor in context.model.tensors(layer).items():
                    self.originals.setdefault(name, tensor.clone())

    def restore_epoch(self, epoch: int) -> None:
        """Restore the learned weights of an epoch, and nothing else."""
        context = self.context
        tensors = self.best_tensors.get(epoch)
        if tensors is None:
            stored, _ = checkpoint.load(context.paths.checkpoints / self.best_checkpoints[epoch])
            prefix = _best_name(epoch, "")
            own = {name.removeprefix(prefix): tensor for name, tensor in stored.items() if name.startswith(prefix)}
            tensors = own or stored  # its own checkpoint, or a later one
        tensors = {**self.originals, **tensors}
        result.overlay(context.model, {name: tensors[name] for name in self._learned()})


def _best_name(epoch: int, name: str) -> str:
    """The name in a checkpoint of what a best epoch before it has learned."""
    return f"best.{epoch}.{name}"
