"""Run all images of a split through the frozen stages once, and keep what comes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from nbtransfer.core import events as ev
from nbtransfer.engine.cache.activations import Activations, Layout, Writer, read_rows
from nbtransfer.engine.cache.prefix import Prefix
from nbtransfer.engine.data.batches import Batch
from nbtransfer.engine.data.order import Sweep, ViewOfImage
from nbtransfer.engine.data.preprocess import Normalise
from nbtransfer.engine.device import Device

SECONDS_BETWEEN = 0.25


@dataclass(frozen=True, slots=True)
class ActivationBuild:
    """All that is needed to compute the activations of one split.

    `batches` are those of the sweep over all images. A batch of fewer than `least` images is filled up: it might be computed in
    another way, with other last bits. `device` says in which precision. `said(done, speed)` makes the event that tells how far
    it is.
    """

    sweep: Sweep
    batches: Iterator[Batch]
    least: int
    prefix: Prefix
    device: Device
    layout: Layout
    normalise: Normalise
    said: Callable[[int, float], ev.Event]
    waiting: Callable[[], bool]

    def into(self, path: Path | None) -> Generator[ev.Event | None, None, Activations]:
        """Compute them, into a file or with None into memory. Raises OSError when the file cannot be written.

        Yields None between batches when `waiting()` says that somebody waits for that.
        """
        writer = Writer(self.layout, self.sweep.count, path)
        failed: dict[int, str] = {}
        started = said = time.monotonic()
        done = 0
        try:
            for drawn, batch in zip(self.sweep, self.batches, strict=True):
                failed |= dict(batch.failed)
                writer.add(self._rows(batch, drawn))
                done += len(drawn)
                now = time.monotonic()
                if now - said >= SECONDS_BETWEEN or done == self.sweep.count:
                    said = now
                    yield self.said(done, done / max(now - started, 1e-9))
                if self.waiting():
                    yield None
        finally:
            kept = writer.close()
        rows = read_rows(path, self.layout, self.sweep.count) if path else kept
        assert rows is not None
        return Activations(self.layout, rows, self.sweep.images, failed)

    def _rows(self, batch: Batch, drawn: list[ViewOfImage]) -> torch.Tensor:
        """One row for everything drawn; zeros where an image could not be decoded."""
        rows = torch.zeros(len(drawn), self.layout.numbers, dtype=self.layout.dtype)
        if not len(batch):
            return rows
        inputs = batch.inputs
        if len(inputs) < self.least:
            inputs = torch.cat([inputs, inputs[:1].expand(self.least - len(inputs), *inputs.shape[1:])])
        out = self.layout.rows(self.prefix(self.normalise(inputs), self.device)).cpu()[: len(batch)]
        failed = {number for number, _ in batch.failed}
        rows[[place for place, (_, number) in enumerate(drawn) if number not in failed]] = out
        return rows
