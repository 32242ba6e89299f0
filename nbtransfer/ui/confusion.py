"""A confusion matrix as HTML: counts in a table, or shades where there are too many classes for that. Names are text in it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from nbtransfer.core.evaluation import Evaluation
from nbtransfer.core.text.tables import html_table

MOST_IN_TABLE, SHADES, MOST_PAIRS = 20, 5, 10
CONFUSED = ("true", "predicted", "images", "of")


def confusion_html(found: Evaluation) -> str:
    """Rows are true classes, columns are predictions."""
    return _table(found) if len(found.classes) <= MOST_IN_TABLE else _shades(found) + _pairs(found)


def _table(found: Evaluation) -> str:
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in found.classes)
    caption = f"<caption>Confusion matrix ({escape(found.split)}): rows true, columns predicted</caption>"
    rows = "".join(map(_row, found.classes, found.confusion))
    return f"<table class=nbt-confusion>{caption}<thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(name: str, counts: tuple[int, ...]) -> str:
    cells = "".join(f'<td class=nbt-cell style="--share:{n / max(sum(counts), 1):.3f}">{n}</td>' for n in counts)
    return f"<tr><th scope=row>{escape(name)}</th>{cells}</tr>"


def _shades(found: Evaluation) -> str:
    """One square for each pair that occurs; a thousand classes still make a small picture."""
    size, words = len(found.classes), f"Confusion matrix ({found.split}) of {len(found.classes)} classes"
    squares: dict[int, list[str]] = {}
    for shade, x, y in _squares(found):
        squares.setdefault(shade, []).append(f"M{x} {y}h1v1h-1z")
    paths = "".join(f'<path opacity="{shade / SHADES:g}" d="{"".join(d)}"/>' for shade, d in sorted(squares.items()))
    caption = f"{words}, in the order of the table: rows true, columns predicted; darker is a larger share of the true class"
    frame = f'<rect width="{size}" height="{size}" fill="none" stroke="currentColor" vector-effect="non-scaling-stroke"/>'
    drawn = f'<svg class=nbt-shades viewBox="0 0 {size} {size}" role=img aria-label="{escape(words)}">{frame}{paths}</svg>'
    return f"<figure>{drawn}<figcaption>{escape(caption)}</figcaption></figure>"


def _squares(found: Evaluation) -> Iterator[tuple[int, int, int]]:
    """Shade, column and row of each pair of classes that occurs."""
    for y, counts in enumerate(found.confusion):
        examples = sum(counts)
        for x, n in enumerate(counts):
            if n:
                yield math.ceil(SHADES * n / examples), x, y


def _pairs(found: Evaluation) -> str:
    pairs = found.most_confused(MOST_PAIRS)
    return f"<p>Most often confused:</p>{html_table(CONFUSED, pairs)}" if pairs else ""
