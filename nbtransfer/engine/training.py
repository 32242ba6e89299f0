"""Carry out a recipe: build, train phase by phase, judge, keep the result. Yields events."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from nbtransfer.core import events as ev
from nbtransfer.core import strategy as strategies
from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.strategy import Phase, Strategy
from nbtransfer.engine import checkpoint, data, device, model, optim, precision, result
from nbtransfer.engine.activations import CachedBatches
from nbtransfer.engine.caching import BoundaryCache
from nbtransfer.engine.evaluate import predict_all
from nbtransfer.engine.loop import Loop, Progress, failures
from nbtransfer.engine.model import HEAD, TransferModel
from nbtransfer.engine.probe import Probe
from nbtransfer.engine.receipt import Fingerprints, Receipt
from nbtransfer.pretrained import registry
from nbtransfer.store.paths import RunPaths

KEEP_CHECKPOINTS = 3
SMALLEST_BATCH_FOR_STATISTICS = 16


def carry_out(recipe: Recipe, paths: RunPaths, stopping: Callable[[], bool]) -> Iterator[ev.Event]:
    """All events of a run after `Starting`, up to `Finished` or `Stopped`. `stopping` is asked between steps."""
    started = time.monotonic()
    card = registry.card(recipe.backbone)
    recipe.check_against(card)
    session = Session(recipe, card, paths, stopping)
    yield session.prepared()
    yield from session.decisions
    yield from session.warnings()
    for index, phase in enumerate(session.strategy.phases):
        yield from session.phase(index, phase)
        if session.stopped or session.progress.failure:
            break
    best = session.progress.best_epoch
    if best:
        yield from session.judge()
    kept = f"the model is that of epoch {best}" if best else "no epoch had ended, so there is no model"
    if session.progress.failure:
        yield ev.Stopped(f"{session.progress.failure} ({kept})")
    elif session.stopped:
        yield ev.Stopped(kept)
    else:
        yield ev.Finished(best, time.monotonic() - started)


@dataclass
class Session:
    """One run in this process: everything that lives from its first phase to its last."""

    recipe: Recipe
    card: BackboneCard
    paths: RunPaths
    stopping: Callable[[], bool]
    progress: Progress = field(default_factory=Progress)
    saved: dict[int, Path] = field(default_factory=dict)
    receipt: Receipt = field(default_factory=Receipt)
    stopped: bool = False

    def __post_init__(self) -> None:
        recipe, card = self.recipe, self.card
        self.threads = device.use_threads(recipe.threads)
        self.device = device.choose(recipe.device, recipe.precision)
        torch.manual_seed(recipe.seed)
        built, self.weights = model.build(recipe, card)
        self.model: TransferModel = built.to(self.device.torch, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if recipe.compile:
            self.model.compile()
        self.strategy: Strategy = recipe.resolved(card)
        self.plans = [phase.plan.resolve(card) for phase in self.strategy.phases]
        self.learned = [name for name in self.plans[0] if any(plan[name].learns for plan in self.plans)]
        # Random weights cannot be had again from a file, so everything is written with them.
        self.written = list(self.plans[0]) if self.weights is None else self.learned
        self.optimiser = optim.build(self.model, recipe)
        self.data = data.prepare(recipe, self.model.spec, self.device.torch)
        self.decisions: list[ev.Decided] = []
        if recipe.precision == "auto":
            self.device, decision = precision.fastest(self.model, self.data.val.images, self.device, self.plans[-1])
            self.decisions.append(decision)
        self.cache = BoundaryCache(recipe, self.model, self.data, self.device, self.stopping)

    def prepared(self) -> ev.Prepared:
        """What is going to happen, and with what."""
        sizes = self.recipe.task.sizes
        return ev.Prepared(
            device=str(self.device.torch),
            device_name=self.device.name,
            precision=self.device.precision,
            threads=self.threads,
            train=sizes["train"],
            val=sizes["val"],
            test=sizes["test"],
            total=sum(p.numel() for p in self.model.parameters()),
            weights=self.weights or f"random, seed {self.recipe.seed}",
            phases=tuple(self._phase_plan(i) for i in range(len(self.plans))),
            versions=versions(),
        )

    def warnings(self) -> Iterator[ev.Warned]:
        """What will work, but probably not well."""
        updates = any(entry.updates for plan in self.plans for entry in plan.values())
        if updates and self.recipe.batch_size < SMALLEST_BATCH_FOR_STATISTICS:
            yield ev.Warned(
                f"normalisation statistics of {self.recipe.batch_size} images are noisy; use batch_size="
                f"{SMALLEST_BATCH_FOR_STATISTICS} or more, or keep the stored ones with FreezePlan.norm('frozen')"
            )

    def phase(self, index: int, phase: Phase) -> Iterator[ev.Event]:
        """One phase, ending with its best weights in the model and a snapshot of them on the disk."""
        began = time.monotonic()
        self.model.follow(self.plans[index])
        self.optimiser.state.clear()  # another schedule begins, from weights the old moments do not belong to
        yield ev.PhaseStarted(phase.name, index)
        first = self.progress.epoch
        before = Fingerprints.take(self.model, [n for n, entry in self.plans[index].items() if not entry.learns])
        inputs = yield from self.cache.inputs(phase)
        if inputs is not None:
            yield from self._work(index, phase, inputs, began)
        self.receipt.add(phase.name, before.unchanged(self.model))
        self.stopped = self.stopping()
        yield ev.PhaseEnded(phase.name, index, self.progress.phase_best_epoch, self._reason(first + phase.epochs))
        if self.progress.epoch > first:
            self._restore(self.progress.phase_best_epoch)
            result.save_layers(self.paths.snapshots / f"{index}-{phase.name}", self.model, self.written, self.weights)

    def _work(self, index: int, phase: Phase, inputs: data.TaskData, began: float) -> Iterator[ev.Event]:
        """Train or solve for what learns in a phase."""
        solver = self.recipe.solver(phase, self.card)
        if solver and isinstance(inputs.train, CachedBatches) and isinstance(inputs.val, CachedBatches):
            probe = Probe(
                self.model, inputs.train, inputs.val, self.recipe, self.device, phase, solver, self.progress, began,
                lambda: self._save(index),
            )  # fmt: skip
            return probe.events()
        loop = Loop(
            self.model, self.optimiser, inputs, self.recipe, self.device, phase, self.plans[index], self._lr(index),
            self.progress, self.stopping, lambda: self._save(index),
        )  # fmt: skip
        return loop.events()

    def _restore(self, epoch: int) -> None:
        """Put the weights of an epoch back into the model, where it learned. Nothing else is touched."""
        tensors, _ = checkpoint.load(self.saved[epoch])
        result.overlay(
            self.model, {name: tensors[name] for layer in [*self.learned, HEAD] for name in self.model.tensors(layer)}
        )

    def judge(self) -> Iterator[ev.Event]:
        """Keep the best weights, then score them in full precision, as whoever loads the model will."""
        self._restore(self.progress.best_epoch)
        yield self.receipt.event()
        result.save_model(self.paths, self.model, self.written, self.weights, self.receipt)
        for split, batches in (("val", self.cache.exact_val()), ("test", self.data.test)):
            if batches is None:
                continue
            found = predict_all(self.model, batches, self.device.exactly())
            yield from failures(found.failed, batches, split, self.recipe, self.progress)
            if found.labels:
                result.save_predictions(self.paths, split, found)
                yield ev.Evaluated(found.evaluation(split, self.model.classes))
            else:
                yield ev.Warned(f"none of the {split} images can be decoded, so there are no scores on them")

    def _reason(self, last_epoch: int) -> str:
        if self.progress.failure:
            return "diverged"
        if self.stopped:
            return "stopped"
        return "finished" if self.progress.epoch == last_epoch else "no better validation score"

    def _save(self, index: int) -> Iterator[ev.Event]:
        name = f"step-{self.progress.step:08d}"
        tensors = {t: v for layer in [*self.written, HEAD] for t, v in self.model.tensors(layer).items()}
        for number, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{key}": value for key, value in state.items() if isinstance(value, torch.Tensor)}
        p = self.progress
        facts = {"phase": index, "progress": {n: v for n, v in vars(p).items() if n != "named"}, "base": self.weights}
        self.saved[p.epoch] = self.paths.checkpoints / name
        checkpoint.save(self.saved[p.epoch], tensors, facts)
        kept = frozenset(self.saved[epoch].name for epoch in (p.best_epoch, p.phase_best_epoch))
        checkpoint.prune(self.paths.checkpoints, KEEP_CHECKPOINTS, kept)
        yield ev.CheckpointSaved(name, p.step)

    def _lr(self, index: int) -> float:
        phase = self.strategy.phases[index]
        return phase.lr or strategies.default_lr(self.recipe.optimiser, phase.plan, self.card)

    def _phase_plan(self, index: int) -> ev.PhasePlan:
        phase, plan = self.strategy.phases[index], self.plans[index]
        head = sum(p.numel() for p in self.model.head.parameters())
        shared = sum(layer.params for layer in self.card.layers if plan[layer.name].learns)
        solver = self.recipe.solver(phase, self.card)
        lr = 0.0 if solver else self._lr(index)
        return ev.PhasePlan(phase.name, phase.epochs, lr, head + shared, phase.plan.summary(self.card), solver)


def versions() -> dict[str, str]:
    """What else decides the numbers, for the record."""
    found = {"python": platform.python_version()}
    for name in ("nbtransfer", "torch", "torchvision", "timm", "pillow", "numpy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
