"""Backbones to choose from, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeAlias

from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.outlines import BackboneOutline
from nbtransfer.core.text.counts import pixels, quantity, short_number
from nbtransfer.core.text.tables import html_table, text_table

Entry: TypeAlias = BackboneCard | BackboneOutline
MOST_ROWS = 60


class BackboneList(tuple[Entry, ...]):
    """Cards, and outlines of models whose card has not been made; they print as a table."""

    __slots__ = ()
    HEADER = ("backbone", "parameters", "multiply-adds", "input", "top-1 %", "licence of the weights")
    _NONE = "no backbone matches; write less of the name, or set other limits"

    def _left_out(self) -> str:
        """What is said about those that are not printed."""
        more = len(self) - MOST_ROWS
        return f"… and {quantity(more, 'other')}; write more of the name, or set limits such as max_params" if more > 0 else ""

    def __repr__(self) -> str:
        return "\n".join(filter(None, (text_table(self.HEADER, _rows(self)), self._left_out()))) if self else self._NONE

    def _repr_html_(self) -> str:
        return html_table(self.HEADER, _rows(self)) + self._left_out() if self else self._NONE


def _rows(entries: Iterable[Entry]) -> Iterator[tuple[str, ...]]:
    """The first of them. What is not known is a dash."""
    for entry in islice(entries, MOST_ROWS):
        yield (
            entry.name,
            _or_dash(entry.params),
            _or_dash(entry.multiply_adds),
            "–" if entry.shape is None else pixels(entry.shape),
            "–" if entry.top1 is None else f"{entry.top1:.1f}",
            entry.licence,
        )


def _or_dash(number: int | None) -> str:
    return "–" if number is None else short_number(number)
