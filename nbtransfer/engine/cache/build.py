"""Compute the activations of all images once, and store them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from nbtransfer.core import events as ev
from nbtransfer.core.messages import Message
from nbtransfer.core.task import Split
from nbtransfer.engine.cache.activations import SPLITS, Activations, BothSplits, CachedBatches, Layout, Writer, read_rows
from nbtransfer.engine.cache.prefix import Folding, Prefix
from nbtransfer.engine.context import RunContext
from nbtransfer.engine.data.batches import Batch, PixelBatches
from nbtransfer.engine.data.order import Sweep, ViewOfImage
from nbtransfer.engine.data.prefetch import prefetch
from nbtransfer.engine.data.preprocess import Normalise
from nbtransfer.engine.device import Device
from nbtransfer.engine.resumable import SAFE_POINT, Resumable

SECONDS_BETWEEN = 0.25
BATCH_ON_A_GPU = 256


def build_batch_size(context: RunContext) -> int:
    """How many images pass the frozen stages at once."""
    gpu = context.device.torch.type == "cuda"
    return max(context.recipe.batch_size, BATCH_ON_A_GPU if gpu else 0)


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """A plan to compute the activations of the first `count` stages, from those of the first `start`, or from the images."""

    context: RunContext
    count: int
    layouts: Mapping[Split, Layout]
    views: int
    start: int
    source: BothSplits | None
    decision: str

    def build(self, folder: Path | None) -> Resumable[tuple[BothSplits, Folding | None]]:
        """Compute both splits, into files in a folder, or with None into memory. Raises OSError if a file cannot be written."""
        model, device = self.context.model, self.context.device
        size = build_batch_size(self.context)
        prefix = Prefix(model, self.start, self.count, fold=self.context.recipe.fold)
        normalise = Normalise(model.spec, device.torch)
        both: BothSplits = {}
        for split in SPLITS:
            sweep = Sweep(len(self.context.data.of(split).images), self._views(split), size)
            split_build = SplitBuild(
                sweep=sweep,
                batches=self._batches(split, sweep),
                # Validation uses the same batches with a cache and without.
                least=size if split == "train" else 0,
                prefix=prefix,
                # Final scores are in fp32: with activations in fp32, they need no second pass.
                device=device if split == "train" else device.in_fp32(),
                layout=self.layouts[split],
                normalise=normalise,
                progress=self._progress(both),
                is_interrupted=self.context.is_interrupted,
            )
            both[split] = yield from split_build.build(folder / f"{split}.bin" if folder else None)
        if prefix.folding is not None:
            yield prefix.folding.decision(self.decision)
        return both, prefix.folding

    def _views(self, split: Split) -> int:
        return self.views if split == "train" else 1

    def _batches(self, split: Split, sweep: Sweep) -> Iterator[Batch]:
        source = self.context.data.of(split)
        if self.source is not None:
            return CachedBatches(self.source[split], self.start, source.images, sweep).epoch(0)
        batches = PixelBatches(source.images, sweep, source.workers, pin=self.context.device.torch.type == "cuda").epoch(0)
        return batches if source.workers else prefetch(batches)

    def _progress(self, both: BothSplits) -> Callable[[int, float], ev.Computing]:
        layer = self.context.card.stages[self.count - 1]
        before = sum(len(activations.rows) for activations in both.values())
        of = sum(len(self.context.data.of(split).images) * self._views(split) for split in SPLITS)
        return lambda done, speed: ev.Computing(layer, before + done, of, speed)


@dataclass(frozen=True, slots=True)
class SplitBuild:
    """Everything needed to compute the activations of one split.

    batches         the batches of the sweep
    least           smaller batches are padded to this size, because another size may change the last bits
    device          the device, with the precision
    progress        makes a progress event from images done and images per second
    is_interrupted  checked between batches
    """

    sweep: Sweep
    batches: Iterator[Batch]
    least: int
    prefix: Prefix
    device: Device
    layout: Layout
    normalise: Normalise
    progress: Callable[[int, float], ev.Event]
    is_interrupted: Callable[[], bool]

    def build(self, path: Path | None) -> Resumable[Activations]:
        """Compute the activations, into a file, or with None into memory. Raises OSError if the file cannot be written."""
        writer = Writer(self.layout, self.sweep.count, path)
        failed: dict[int, Message] = {}
        started = reported = time.monotonic()
        done = 0
        try:
            for items, batch in zip(self.sweep, self.batches, strict=True):
                failed |= dict(batch.failed)
                writer.add(self._rows(batch, items))
                done += len(items)
                now = time.monotonic()
                if now - reported >= SECONDS_BETWEEN or done == self.sweep.count:
                    reported = now
                    yield self.progress(done, done / max(now - started, 1e-9))
                if self.is_interrupted():
                    yield SAFE_POINT
        finally:
            in_memory = writer.close()
        rows = read_rows(path, self.layout, self.sweep.count) if path else in_memory
        assert rows is not None
        return Activations(self.layout, rows, self.sweep.images, failed)

    def _rows(self, batch: Batch, items: list[ViewOfImage]) -> torch.Tensor:
        """One row per item; zeros if an image could not be decoded."""
        rows = torch.zeros(len(items), self.layout.numel, dtype=self.layout.dtype)
        if not len(batch):
            return rows
        inputs = batch.inputs
        if len(inputs) < self.least:
            inputs = torch.cat([inputs, inputs[:1].expand(self.least - len(inputs), *inputs.shape[1:])])
        out = self.layout.rows(self.prefix(self.normalise(inputs), self.device)).cpu()[: len(batch)]
        failed = {number for number, _ in batch.failed}
        rows[[place for place, (_, number) in enumerate(items) if number not in failed]] = out
        return rows
