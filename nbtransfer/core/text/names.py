"""Names in a sentence: the first few of many, or the known ones closest to a typo."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def short_list(names: Sequence[str], *, most: int = 5) -> str:
    """`a, b and 3 more`."""
    first = ", ".join(names[:most])
    return first if len(names) <= most else f"{first} and {len(names) - most:,} more"


def suggest(name: str, known: Iterable[str], *, count: int = 3) -> str:
    """A clause such as "did you mean 'resnet18' or 'resnet34'?", or the first few known names if none is close."""
    names = list(known)
    folded = {item.casefold(): item for item in names}
    close = [folded[match] for match in difflib.get_close_matches(name.casefold(), folded, n=count, cutoff=0.5)]
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    first = ", ".join(names[:8])
    return f"choose one of {first}{', …' if len(names) > 8 else ''}"
