"""What is new about a run since its page was last told: points of the curves and epochs, as one short message."""

from __future__ import annotations

import itertools

from nbtransfer.core.state import HistoryRow, RunState
from nbtransfer.store.paths import RunPaths
from nbtransfer.ui.messages import News
from nbtransfer.ui.run_facts import epoch_row, progress_facts
from nbtransfer.ui.series import Series


class NewsFeed:
    """Remembers what has been sent about a run. Thread: any, one at a time."""

    def __init__(self, paths: RunPaths) -> None:
        self._series = Series(paths)
        self.forget()

    def forget(self) -> None:
        """The next news tell everything: a new view has none of the curves yet."""
        self._generation, self._points = 0, 0
        self._rows: tuple[HistoryRow, ...] = ()

    def read(self) -> None:
        """Take in what the worker has said since the last call."""
        self._series.read()

    def news(self, state: RunState) -> News:
        """What is new in this state and in what has been read."""
        series, points_from, rows_from = self._series, self._points, _shared(self._rows, state.history)
        if self._generation != series.generation:  # points that were sent have changed
            points_from = 0
        self._generation, self._points, self._rows = series.generation, len(series.points), state.history
        return {
            "kind": "news",
            "progress": progress_facts(state),
            "points_from": points_from,
            "points": series.points[points_from:],
            "rows_from": rows_from,
            "rows": [epoch_row(row) for row in state.history[rows_from:]],
        }


def _shared(old: tuple[HistoryRow, ...], new: tuple[HistoryRow, ...]) -> int:
    """How many rows two histories begin with in common."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
