"""Groups of examples that belong on one side of a split: a patient, a scene, a series."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import short_list
from nbtransfer.errors import TaskError

Groups = str | re.Pattern[str] | Callable[[str], Hashable] | Sequence[Hashable]
"""A regular expression over the path in the task's folder, a function of that path, or a column with one value an example.

Of a regular expression, the group is what its parentheses match, or all that matches where it has none.
"""


def groups_of(given: Groups, sources: Sequence[str]) -> list[Hashable]:
    """The group of each example; raises TaskError if one has none."""
    if isinstance(given, (str, re.Pattern)):
        return _by_pattern(given, sources)
    if callable(given):
        return [_hashable(given(source), source) for source in sources]
    column = list(given.tolist() if hasattr(given, "tolist") else given)
    if len(column) != len(sources):
        raise TaskError(f"groups has {len(column):,} values for {quantity(len(sources), 'example')}; give one for each")
    return [_hashable(value, source) for value, source in zip(column, sources, strict=True)]


def joined(groups: Sequence[Hashable], copies: Sequence[Hashable]) -> list[Hashable]:
    """Groups that also hold all exact copies: examples with the same entry in either sequence get the same number."""
    parents = list(range(len(groups)))

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    for column in (groups, copies):
        first: dict[Hashable, int] = {}
        for number, value in enumerate(column):
            parents[root(number)] = root(first.setdefault(value, number))
    return [root(number) for number in range(len(groups))]


def check_sides(groups: Sequence[Hashable], sides: Sequence[str | None]) -> None:
    """Raise TaskError if the folders put examples of one group on two sides."""
    found: dict[Hashable, set[str]] = defaultdict(set)
    for group, side in zip(groups, sides, strict=True):
        found[group].add(side or "")
    torn = [f"{group!r} ({', '.join(sorted(where))})" for group, where in found.items() if len(where) > 1]
    if torn:
        raise TaskError(
            f"{quantity(len(torn), 'group')} in more than one split folder, so scores would be too good: "
            f"{short_list(torn, most=3)}; move each into one folder, or leave groups out"
        )


def _by_pattern(pattern: str | re.Pattern[str], sources: Sequence[str]) -> list[Hashable]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise TaskError(f"groups is {pattern!r}, which is no regular expression ({error})") from error
    paths = [source.replace(os.sep, "/") for source in sources]
    matches = [compiled.search(path) for path in paths]
    without = [path for path, match in zip(paths, matches, strict=True) if match is None]
    if without:
        raise TaskError(
            f"groups={compiled.pattern!r} matches nothing in {quantity(len(without), 'path')}, such as "
            f"{short_list(without, most=2)}; give an expression that matches every path"
        )
    return [match.groups() if compiled.groups else match[0] for match in matches if match is not None]


def _hashable(value: Any, source: str) -> Hashable:
    try:
        hash(value)
    except TypeError:
        raise TaskError(f"groups gives {value!r} for {source}; let it give text or a number") from None
    if value is None or value != value:  # noqa: PLR0124 - NaN
        raise TaskError(f"groups gives no group for {source}; let it give text or a number for every example")
    return value  # type: ignore[no-any-return]
