"""spec.json and manifest.jsonl: the recipe of a run, its examples, and the history it repeats.

1  the first edition
2  a decision that is repeated has an `id`, which was its `moment`, and a reason with a code
3  an example has a digest of its content instead of the bytes of its file and the time of its modification
4  a task says how its folder was understood (`layout`) and how its files are read (`reading`)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbtransfer.core.formats import numbers
from nbtransfer.core.formats.events import upgrade_decision
from nbtransfer.core.formats.numbers import RUN, Plain

WITHOUT_DIGEST = "stat:"


def upgrade(spec: Plain) -> Plain:
    """A spec of an older format in the present one; it says which it is of."""
    return {**numbers.upgrade(spec, spec["format"], STEPS), "format": RUN}


def _to_2(spec: Plain) -> Plain:
    repeat = spec.get("repeat")
    if not isinstance(repeat, dict) or not isinstance(repeat.get("decisions"), list):
        return spec
    decisions = [upgrade_decision(decision) for decision in repeat["decisions"] if isinstance(decision, dict)]
    return {**spec, "repeat": {**repeat, "decisions": decisions}}


def _to_3(spec: Plain) -> Plain:
    return spec  # the manifest has changed


def upgrade_sample(row: Sequence[Any]) -> Sequence[Any]:
    """A line of a manifest in the present format; before format 3 it had five fields."""
    if len(row) != 5:
        return row
    source, label, split, size, mtime_ns = row
    return [source, label, split, without_digest(size, mtime_ns)]


def without_digest(size: int, mtime_ns: int) -> str:
    """What stands for the digest of a file in a manifest of format 1 or 2: nothing else is known of it."""
    return f"{WITHOUT_DIGEST}{size}:{mtime_ns}"


def _to_4(spec: Plain) -> Plain:
    return spec  # before, all files were read as they are by default


STEPS = (_to_2, _to_3, _to_4)
assert len(STEPS) == RUN - 1
