"""The costs of a phase with and without a cache, measured on a few images."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from nbtransfer.core.task import Split
from nbtransfer.engine.cache.activations import Layout
from nbtransfer.engine.data.batches import Images
from nbtransfer.engine.data.preprocess import Normalise
from nbtransfer.engine.data.sample import sample_pixels
from nbtransfer.engine.device import Device
from nbtransfer.engine.model.step import evaluation_mode, trial_step
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.engine.timing import seconds_for, time_call


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds for one image.

    decode   from file to pixels, less for pixels in memory; `once` if pixels stay in memory
    before   the first `nearer` stages, forward
    rest     the other stages before the boundary, forward
    exact    `rest` in fp32, as for validation
    judge    the stages after the boundary and the head, forward
    learn    the stages after the boundary and the head, forward and backward
    read     from the cache to a batch
    write    from a batch to the cache

    `layouts` are the layouts of the activations at the boundary, for each split. The activations of the first `nearer` stages
    are stored already; 0 if none are.
    """

    layouts: Mapping[Split, Layout]
    nearer: int

    decode: float
    once: bool
    before: float
    rest: float
    exact: float
    judge: float
    learn: float
    read: float
    write: float

    @property
    def prefix(self) -> float:
        """All stages before the boundary, forward."""
        return self.before + self.rest

    def without_cache(self, epochs: int, train: int, val: int) -> float:
        """Seconds for a phase that computes everything in every epoch."""
        decoded = train + val if self.once else epochs * (train + val)
        forward = epochs * (train * (self.prefix + self.learn) + val * (self.prefix + self.judge))
        return decoded * self.decode + forward

    def build(self, train: int, val: int, views: int) -> float:
        """Seconds to compute the activations of all views, from a nearer boundary or from the images."""
        decoded = (train if self.once else train * views) + val if not self.nearer else 0
        return decoded * self.decode + train * views * (self.rest + self.write) + val * (self.exact + self.write)

    def with_cache(self, epochs: int, train: int, val: int) -> float:
        """Seconds for a phase that reads all activations from a cache."""
        return epochs * (train * (self.read + self.learn) + val * (self.read + self.judge))


def measure(
    model: TransferModel,
    images: Images,
    workers: int,
    nearer: int,
    boundary: int,
    device: Device,
    stored: torch.dtype | None,
) -> Costs | None:
    """Measure on a few images of this run; None if none of them can be decoded. `workers` processes decode in parallel.

    The activations of the first `nearer` stages are stored already (0: none are). The model stays in evaluation mode and its
    weights as they are; afterwards its mode is restored.
    """
    started, undecoded = time.perf_counter(), len(images.undecoded) / max(len(images), 1)
    pixels = sample_pixels(images)
    if not len(pixels):
        return None
    decode = undecoded * (time.perf_counter() - started) / len(pixels)
    with evaluation_mode(model):
        return _measure_costs(model, pixels, nearer, boundary, device, stored, decode / max(workers, 1), images.kept)


def _measure_costs(
    model: TransferModel,
    pixels: torch.Tensor,
    nearer: int,
    boundary: int,
    device: Device,
    stored: torch.dtype | None,
    decode: float,
    once: bool,
) -> Costs:
    x = Normalise(model.spec, device.torch)(pixels)
    count = len(x)

    def forward(inputs: torch.Tensor, start: int, end: int | None = None, within: Device = device) -> torch.Tensor:
        with torch.no_grad(), within.autocast():
            return model.features(inputs, start, end)

    entering, before = time_call(lambda: forward(x, 0, nearer), device) if nearer else (x, 0.0)
    middle, rest = time_call(lambda: forward(entering, nearer, boundary), device)
    middle_in_fp32, exact = middle, rest
    if device.precision != "fp32":
        precise = device.in_fp32()
        entering_in_fp32 = forward(x, 0, nearer, precise) if nearer else x
        middle_in_fp32, exact = time_call(lambda: forward(entering_in_fp32, nearer, boundary, precise), device, times=1)
    rows = middle.detach().cpu().flatten(1)
    return Costs(
        layouts={"train": Layout.of(middle, stored), "val": Layout.of(middle_in_fp32, stored)},
        nearer=nearer,
        decode=decode,
        once=once,
        before=before / count,
        rest=rest / count,
        exact=exact / count,
        judge=seconds_for(lambda: forward(middle, boundary), device) / count,
        learn=seconds_for(lambda: trial_step(model, middle, device, boundary), device) / count,
        read=seconds_for(lambda: rows[torch.randperm(count, generator=torch.Generator())].to(device.torch), device) / count,
        write=seconds_for(rows.clone, device) / count,
    )
