"""spec.json: the recipe of a run, and the history it repeats.

1  the first edition
2  a decision that is repeated has an `id`, which was its `moment`, and a reason with a code
"""

from __future__ import annotations

from nbtransfer.core.formats import numbers
from nbtransfer.core.formats.events import upgrade_decision
from nbtransfer.core.formats.numbers import RUN, Plain


def upgrade(spec: Plain) -> Plain:
    """A spec of an older format in the present one; it says which it is of."""
    return {**numbers.upgrade(spec, spec["format"], STEPS), "format": RUN}


def _to_2(spec: Plain) -> Plain:
    repeat = spec.get("repeat")
    if not isinstance(repeat, dict) or not isinstance(repeat.get("decisions"), list):
        return spec
    decisions = [upgrade_decision(decision) for decision in repeat["decisions"] if isinstance(decision, dict)]
    return {**spec, "repeat": {**repeat, "decisions": decisions}}


STEPS = (_to_2,)
assert len(STEPS) == RUN - 1
