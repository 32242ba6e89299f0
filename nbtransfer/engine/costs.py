"""What a phase costs with and without a cache, from a few measured batches."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from nbtransfer.engine.activations import Layout
from nbtransfer.engine.data import Images
from nbtransfer.engine.device import Device
from nbtransfer.engine.model import TransferModel
from nbtransfer.engine.preprocess import Normalise

IMAGES = 8


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds for one image.

    decode   from the file to pixels; `once` if pixels are kept afterwards
    prefix   the stages before the boundary, forward
    judge    what follows the boundary, forward
    learn    what follows the boundary, forward and backward
    read     from the cache to a batch
    write    from a batch to the cache

    `layout` is how what leaves the prefix lies in memory.
    """

    layout: Layout

    decode: float
    once: bool
    prefix: float
    judge: float
    learn: float
    read: float
    write: float

    def plain(self, epochs: int, train: int, val: int) -> float:
        """Seconds for a phase that computes everything in every epoch."""
        decoded = train + val if self.once else epochs * (train + val)
        forward = epochs * (train * (self.prefix + self.learn) + val * (self.prefix + self.judge))
        return decoded * self.decode + forward

    def build(self, train: int, val: int, views: int) -> float:
        """Seconds to compute what leaves the prefix, once for each view."""
        decoded = (train if self.once else train * views) + val
        return decoded * self.decode + (train * views + val) * (self.prefix + self.write)

    def from_cache(self, epochs: int, train: int, val: int) -> float:
        """Seconds for a phase that finds what it needs in a cache."""
        return epochs * (train * (self.read + self.learn) + val * (self.read + self.judge))


def sample(images: Images, count: int = IMAGES) -> torch.Tensor:
    """Pixels (N, 3, size, size) of up to `count` images that can be decoded, from all over the split."""
    step = max(1, len(images) // count)
    found = (images[0, number][1] for number in range(0, len(images), step)[:count])
    pixels = [item for item in found if isinstance(item, torch.Tensor)]
    return torch.stack(pixels) if pixels else torch.empty(0, 3, 1, 1, dtype=torch.uint8)


def measure(
    model: TransferModel, images: Images, workers: int, boundary: int, device: Device, stored: torch.dtype | None
) -> Costs | None:
    """Measure on a few images of this run. None when none of them can be decoded. `workers` decode side by side.

    Nothing learns: the model is in evaluation mode meanwhile, and left as it was.
    """
    started = time.perf_counter()
    pixels = sample(images)
    decode = (time.perf_counter() - started) / max(len(pixels), 1)
    if not len(pixels):
        return None
    before = model.training
    model.eval()
    try:
        return _measured(model, pixels, boundary, device, stored, decode / max(workers, 1), images.kept)
    finally:
        model.zero_grad()
        model.train(before)


def _measured(
    model: TransferModel,
    pixels: torch.Tensor,
    boundary: int,
    device: Device,
    stored: torch.dtype | None,
    decode: float,
    once: bool,
) -> Costs:
    x = Normalise(model.spec, device.torch)(pixels)
    labels = torch.zeros(len(x), dtype=torch.long, device=device.torch)
    count = len(x)

    def forward(inputs: torch.Tensor, start: int, end: int | None = None) -> torch.Tensor:
        with torch.no_grad(), device.autocast():
            return model.features(inputs, start, end)

    def learn() -> None:
        model.zero_grad()
        with device.autocast():
            loss = F.cross_entropy(model(middle, boundary).float(), labels)
        loss.backward()  # type: ignore[no-untyped-call]

    middle = forward(x, 0, boundary)
    rows = middle.detach().cpu().flatten(1)
    return Costs(
        layout=Layout.of(middle, stored),
        decode=decode,
        once=once,
        prefix=seconds(lambda: forward(x, 0, boundary), device) / count,
        judge=seconds(lambda: forward(middle, boundary), device) / count,
        learn=seconds(learn, device) / count,
        read=seconds(lambda: rows[torch.randperm(count, generator=torch.Generator())].to(device.torch), device) / count,
        write=seconds(rows.clone, device) / count,
    )


def seconds(work: Callable[[], object], device: Device, times: int = 2) -> float:
    """The least time that some work took, after a first time that does not count."""
    best = float("inf")
    for number in range(times + 1):
        _wait_for(device)
        started = time.perf_counter()
        work()
        _wait_for(device)
        best = min(best, time.perf_counter() - started) if number else best
    return best


def _wait_for(device: Device) -> None:
    if device.torch.type == "cuda":
        torch.cuda.synchronize(device.torch)
