"""The curves of a run, read from its journal: what a chart needs, and what is new since a chart was last told."""

from __future__ import annotations

import math
from collections.abc import Iterable

from nbtransfer.core import events as ev
from nbtransfer.core.record import Record
from nbtransfer.store.journal import JournalReader
from nbtransfer.store.paths import RunPaths

MOST_POINTS = 2000
BYTES_OF_A_STEP = 150


class Series:
    """Points of the training loss between epochs. `points` holds [epoch as a fraction, loss or None], at most 2,000.

    When there are too many, every second one is dropped: `generation` counts how often, so that a chart that was told
    the old ones starts over.
    """

    def __init__(self, paths: RunPaths) -> None:
        # Of a journal that is long already, no more lines are read than a chart has use for.
        self._reader = JournalReader(paths.events, passing=max(1, _size(paths) // (MOST_POINTS * 5 * BYTES_OF_A_STEP)))
        self.points: list[tuple[float, float | None]] = []
        self.generation = 0
        self._every, self._seen = 1, 0

    def read(self) -> None:
        """Take in what the worker has said since the last call."""
        self.add(self._reader.read())
        self._reader.passing = 1

    def add(self, records: Iterable[Record]) -> None:
        """Take in these records."""
        for record in records:
            step = record.event
            if not isinstance(step, ev.Step):
                continue
            x = step.epoch - 1 + step.step / step.of
            if self.points and x <= self.points[-1][0]:  # a resumed run says some steps again
                self.points = [point for point in self.points if point[0] < x]
                self.generation += 1
            self._seen += 1
            if self._seen % self._every == 0:
                self.points.append((round(x, 4), figures(step.loss)))
            if len(self.points) > MOST_POINTS:
                self.points, self._every = self.points[1::2], self._every * 2
                self.generation += 1


def _size(paths: RunPaths) -> int:
    try:
        return paths.events.stat().st_size
    except OSError:
        return 0


def figures(value: float) -> float | None:
    """Four figures are more than a chart can show; NaN and infinity become None, since JSON has neither."""
    return float(f"{value:.4g}") if math.isfinite(value) else None
