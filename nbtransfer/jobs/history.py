"""The epochs of a run as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from nbtransfer.core.state import HistoryRow
from nbtransfer.core.text.durations import duration
from nbtransfer.core.text.tables import html_table, text_table


class History(tuple[HistoryRow, ...]):
    """One row per epoch; prints as a table."""

    __slots__ = ()
    _HEADER = ("phase", "epoch", "step", "loss", "accuracy", "val loss", "val accuracy (95 %)", "lr", "time", "")

    def to_dicts(self) -> list[dict[str, Any]]:
        """Plain rows, for pandas.DataFrame and the like."""
        return [asdict(row) for row in self]

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for r in self:
            low, high = r.val_interval
            yield (
                r.phase, r.epoch, r.step, f"{r.loss:.4f}", f"{r.accuracy:.3f}", f"{r.val_loss:.4f}",
                f"{r.val_accuracy:.3f} ({low:.3f}–{high:.3f})", f"{r.lr:.2g}" if r.lr else "–", duration(r.seconds),
                "best" if r.best else "",
            )  # fmt: skip

    def __repr__(self) -> str:
        return text_table(self._HEADER, self._rows()) if self else "no epoch has ended yet"

    def _repr_html_(self) -> str:
        return html_table(self._HEADER, self._rows())
