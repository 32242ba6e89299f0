"""Names in a sentence: the first few of many, or the known ones near to a typo or to a word that others use."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from nbtransfer.core.text.synonyms import SYNONYMS

MOST_SHOWN = 8
_AS_GOOD_AS_EQUAL = 0.8


def short_list(names: Sequence[str], *, most: int = 5) -> str:
    """`a, b and 3 more`."""
    first = ", ".join(names[:most])
    return first if len(names) <= most else f"{first} and {len(names) - most:,} more"


def of_classes(names: Sequence[str]) -> str:
    """`class a`, `classes a, b and 3 more`."""
    return f"class{'es' if len(names) > 1 else ''} {short_list(names)}"


def suggest(name: str, known: Iterable[str], *, count: int = 3, prefix: str = "") -> str:
    """A clause such as "did you mean 'resnet18' or 'resnet34'?", or the first few known names if none is near.

    Near are names of the same meaning, and names of nearly the same letters. `prefix` goes before each name that is shown.
    """
    names = list(known)
    near = _same_meaning(name, names) or _same_letters(name, names)
    if near:
        return f"did you mean {' or '.join(repr(prefix + item) for item in near[:count])}?"
    first = ", ".join(prefix + item for item in names[:MOST_SHOWN])
    return f"choose one of {first}{', …' if len(names) > MOST_SHOWN else ''}"


def _same_meaning(name: str, known: Sequence[str]) -> list[str]:
    """Known names for what others call `name`, in the order of the table."""
    plain = {_plain(item): item for item in reversed(known)}
    meant = [plain[word] for word in map(_plain, SYNONYMS.get(_plain(name), ())) if word in plain]
    return [plain[_plain(name)]] if _plain(name) in plain else meant


def _same_letters(name: str, known: Sequence[str]) -> list[str]:
    """Known names that a few slips of the fingers turn into `name`, the nearest first."""
    wanted = _plain(name)
    ranked = []
    for number, item in enumerate(known):
        word = _plain(item)
        alike = difflib.SequenceMatcher(None, wanted, word).ratio()
        inside = len(wanted) > 2 and (word.startswith(wanted) or (len(word) > 2 and wanted.startswith(word)))
        if inside or alike >= _AS_GOOD_AS_EQUAL or slips(wanted, word) <= _slips_allowed(wanted):
            ranked.append((-alike, number, item))
    return [item for _, _, item in sorted(ranked)]


def _plain(name: str) -> str:
    """Case and the marks between words do not matter."""
    return re.sub(r"[\s_-]", "", name.casefold())


def _slips_allowed(word: str) -> int:
    """One in three letters: `list` is not `stop`."""
    return len(word) // 3


def slips(one: str, other: str) -> int:
    """How many letters were left out, added, replaced or swapped with the next (optimal string alignment)."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            row.append(min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b)))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                row[j] = min(row[j], before[j - 2] + 1)
        before, last = last, row
    return last[-1]
