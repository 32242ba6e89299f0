"""Small pieces of text that every room needs: tables, numbers, and "did you mean"."""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_NUMBER = re.compile(r"(–|[\d.,/]+( \w+)?)?")


def nearest(name: str, known: Iterable[str], *, count: int = 3) -> str:
    """A clause such as "did you mean 'resnet18' or 'resnet34'?", or the first few known names when none is close."""
    names = list(known)
    folded = {item.casefold(): item for item in names}
    close = [folded[match] for match in difflib.get_close_matches(name.casefold(), folded, n=count, cutoff=0.5)]
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    shown = ", ".join(names[:8])
    return f"choose one of {shown}{', …' if len(names) > 8 else ''}"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 image`, `2 images`, `12,000 images`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(names: Sequence[str], *, most: int = 5) -> str:
    """The first names, then how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def scaled(number: float) -> str:
    """A large count in three figures: 950, 3.37 M, 1.81 G."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit:
            return f"{number / limit:.3g} {unit}"
    return f"{number:.3g}"


def in_bytes(number: float) -> str:
    """`12 bytes`, `3.1 MB`, `20 GB`; decimal units."""
    return counted(round(number), "byte") if number < 1000 else f"{scaled(number)}B"


def duration(seconds: float) -> str:
    """`8 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def text_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns padded to equal width; numbers to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(header), *cells]) for i in range(len(header))]
    right = [all(_NUMBER.fullmatch(row[i]) for row in cells) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True))
        return "  ".join(padded).rstrip()

    return "\n".join([line(header), line(["─" * width for width in widths]), *map(line, cells)])


def html_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The same table as HTML; every cell is text, never markup."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def shown(path: Path) -> str:
    """A path as it may be shown and published: from the working folder, or from `~`, where it lies in there."""
    path = path.absolute()
    for base, prefix in ((Path.cwd(), ""), (Path.home(), "~/")):
        if path.is_relative_to(base) and base != path:
            return prefix + path.relative_to(base).as_posix()
    return str(path)
