"""Runs of ours in this process, with what can be seen from outside while they go on."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional as F

import nbtransfer as nt
from benchmarks.gpu.scene import Scene
from nbtransfer.core import events as ev
from nbtransfer.engine import setup
from nbtransfer.engine.checkpoints import checkpoint
from nbtransfer.engine.fit import loop
from nbtransfer.engine.training import carry_out
from nbtransfer.store import runs
from nbtransfer.store.paths import RunPaths

GENTLE = 1e-3
"""A learning rate for comparisons, with SGD. From random weights at 0.01, what differs in the last bits differs by some
per cent after eight steps, on the CPU too."""


@dataclass(frozen=True)
class Told:
    """What a run said, when it said it (seconds), how long it took, and the tensors of its model."""

    events: list[ev.Event]
    marks: list[float]
    seconds: float
    tensors: dict[str, torch.Tensor]
    paths: RunPaths

    def all(self, kind: type[Any]) -> list[Any]:
        """Events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def decision(self, subject: str) -> ev.Decided | None:
        """The first decision about something."""
        return next((event for event in self.all(ev.Decided) if event.subject == subject), None)

    @property
    def precision(self) -> str:
        return str(self.all(ev.Prepared)[0].precision)

    @property
    def epoch_seconds(self) -> list[float]:
        return [event.seconds for event in self.all(ev.EpochEnded)]

    @property
    def saving(self) -> float:
        """Seconds that went into checkpoints after epochs."""
        spent, before = 0.0, self.marks[0]
        for event, mark in zip(self.events, self.marks, strict=True):
            spent += mark - before if isinstance(event, ev.CheckpointSaved) else 0.0
            before = mark
        return spent


def recipe(task: nt.Task, scene: Scene, backbone: str, **settings: Any) -> nt.Recipe:
    """Random weights, full precision, no augmentation, no cache, and images taken as they are; unless said otherwise."""
    wanted = settings.pop("image_size", scene.sizes.side)
    size = None if nt.backbone(backbone).fixed_size else wanted
    usual: dict[str, Any] = {
        "augment": (),
        "cache": "off",
        "crop": 1.0,
        "precision": "fp32",
        "loader_workers": 0,
        "clip_grad": None,
    }
    usual["batch_size"] = scene.sizes.few
    return nt.Recipe(
        task=task, backbone=backbone, weights=None, device=str(scene.device), image_size=size, **{**usual, **settings}
    )


def carried_out(recipe: nt.Recipe) -> Told:
    """A run from its recipe to its scores."""
    paths = runs.create(recipe)
    events, marks, started = list[ev.Event](), list[float](), time.perf_counter()
    for event in carry_out(recipe, paths):
        events.append(event)
        marks.append(time.perf_counter() - started)
    tensors, _ = checkpoint.load(paths.best_model)
    return Told(events, marks, marks[-1], tensors, paths)


def difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> tuple[bool, float]:
    """Whether two models are the same bit for bit, and the norm of their difference over the norm of the first."""
    assert one.keys() == other.keys()
    same = all(torch.equal(one[name], other[name]) for name in one)
    gap = sum((one[name].double() - other[name].double()).square().sum().item() for name in one)
    norm = sum(tensor.double().square().sum().item() for tensor in one.values())
    return same, (gap / max(norm, 1e-300)) ** 0.5


def how_close(same: bool, gap: float) -> str:
    """The same in words."""
    return "bitwise equal" if same else f"weights differ by {gap:.1e}"


@dataclass
class Seen:
    """What went through the training loop, step by step.

    digests  sha256 of the pixels of each batch
    losses   mean loss and images of each part of a batch
    places   for each batch, where its inputs were: "pinned", "pageable", or a device
    """

    digests: list[str] = field(default_factory=list)
    losses: list[tuple[torch.Tensor, int]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def each_loss(self) -> list[float]:
        return [loss.item() for loss, _ in self.losses]


@contextmanager
def watched(*, digests: bool = False) -> Iterator[Seen]:
    """See what goes through the training loop inside."""
    seen, forward_loss, step = Seen(), loop.forward_loss, loop.Loop._step  # noqa: SLF001 - there is no door for this

    def watched_loss(model: Any, inputs: torch.Tensor, labels: torch.Tensor, *others: Any) -> Any:
        found = forward_loss(model, inputs, labels, *others)
        seen.losses.append((found[1].detach(), len(labels)))
        return found

    def watched_step(self: Any, batch: Any, meter: Any) -> None:
        if digests:
            seen.digests.append(hashlib.sha256(batch.inputs.cpu().contiguous().numpy().data).hexdigest())
        seen.places.append(place(batch.inputs))
        step(self, batch, meter)

    loop.forward_loss, loop.Loop._step = watched_loss, watched_step  # type: ignore[method-assign] # noqa: SLF001
    try:
        yield seen
    finally:
        loop.forward_loss, loop.Loop._step = forward_loss, step  # type: ignore[method-assign] # noqa: SLF001


def place(tensor: torch.Tensor) -> str:
    """Where a tensor is: a device, or main memory that is pinned or pageable."""
    if tensor.device.type != "cpu":
        return tensor.device.type
    return "pinned" if torch.cuda.is_available() and tensor.is_pinned() else "pageable"


@contextmanager
def scaler_begins_at(scale: float) -> Iterator[list[tuple[float, float, bool]]]:
    """Gradient scalers made inside begin at this scale. Gives the scale before and after each step, and if weights changed."""
    seen: list[tuple[float, float, bool]] = []
    real = torch.amp.GradScaler

    class Scaler(real):  # type: ignore[misc,valid-type]
        def __init__(self, *words: Any, **settings: Any) -> None:
            super().__init__(*words, init_scale=scale, **settings)

        def step(self, optimiser: torch.optim.Optimizer) -> Any:
            parameters = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
            before = [p.detach().clone() for p in parameters]
            found = super().step(optimiser)
            self.changed = any(not torch.equal(old, new) for old, new in zip(before, parameters, strict=True))
            return found

        def update(self, *words: Any) -> None:
            before = self.get_scale()
            super().update(*words)
            seen.append((before, self.get_scale(), self.changed))

    setup.torch.amp.GradScaler = Scaler  # type: ignore[misc]
    try:
        yield seen
    finally:
        setup.torch.amp.GradScaler = real  # type: ignore[misc]


@contextmanager
def tf32(*, allowed: bool) -> Iterator[None]:
    """Whether fp32 products inside may be computed with ten bits of precision."""
    convolutions, matrices = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    before = convolutions.fp32_precision, matrices.fp32_precision
    convolutions.fp32_precision = matrices.fp32_precision = "tf32" if allowed else "ieee"
    try:
        yield
    finally:
        convolutions.fp32_precision, matrices.fp32_precision = before


def tf32_now(device: str | torch.device) -> dict[str, bool]:
    """For convolutions and matrices, whether fp32 is computed as TF32 at present: its products are a thousandth off."""
    torch.manual_seed(0)
    x, w = torch.randn(4, 64, 32, 32, device=device), torch.randn(64, 64, 3, 3, device=device)
    a, b = (torch.randn(256, 256, device=device) for _ in range(2))
    conv = F.conv2d(x, w), F.conv2d(x.double(), w.double())
    matrix = a @ b, a.double() @ b.double()
    off = {
        name: ((found - right).norm() / right.norm()).item()
        for name, (found, right) in {"conv": conv, "matrix": matrix}.items()
    }
    return {name: error > 2e-5 for name, error in off.items()}
