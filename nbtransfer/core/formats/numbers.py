"""The numbers of the present formats, and what is done about others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

RUN, EVENTS, CHECKPOINT, EXPORT, BACKBONE = 4, 2, 3, 2, 1

Plain = dict[str, Any]
Step = Callable[[Plain], Plain]


def is_number(number: object) -> bool:
    """Whether any version can have written this number."""
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1


def refusal(number: object, newest: int) -> str | None:
    """The end of a sentence on what is of no format up to `newest`, such as "run X …"; None where it can be read."""
    if not is_number(number):
        return f"has the unknown format {number!r}; restore it from a copy"
    assert isinstance(number, int)
    return f"has format {number}, and this nbtransfer reads up to {newest}; update nbtransfer" if number > newest else None


def upgrade(plain: Plain, number: int, steps: Sequence[Step]) -> Plain:
    """`plain` of format `number` in the newest format; the first of the steps makes format 2 of format 1."""
    for step in steps[number - 1 :]:
        plain = step(plain)
    return plain
