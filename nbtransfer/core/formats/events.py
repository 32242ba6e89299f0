"""Lines of the journal.

1  the first edition
2  `Decided.moment` became `id`, `PhaseEnded.reason` a code; other reasons and messages have a code and arguments;
   random weights have no digest, `Prepared.weights` was words on them; `Starting.format` is new
"""

from __future__ import annotations

import dataclasses

from nbtransfer.core.formats import numbers
from nbtransfer.core.formats.numbers import EVENTS, Plain

HEAD = ("seq", "attempt", "time", "clock", "event")


def format_of(record: object, before: int) -> int:
    """The format from this record on: what an attempt says as it starts, else the one `before`."""
    if not isinstance(record, dict) or record.get("event") != "Starting":
        return before
    number = record.get("format", 1)
    return number if numbers.is_number(number) else before


def upgrade(record: Plain, number: int) -> Plain:
    """A copy of a record of an older format, in the present one."""
    return numbers.upgrade(dict(record), number, STEPS)


def known_part(fields: Plain, kind: type) -> Plain:
    """What an event of a newer format says that this version has fields for."""
    known = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in fields.items() if name in known}


def upgrade_decision(decision: Plain) -> Plain:
    """From format 1 to 2: also where a run repeats the decisions of another."""
    rest = {name: value for name, value in decision.items() if name != "moment"}
    return {**rest, "id": decision["moment"]} if "moment" in decision else rest


def _to_2(record: Plain) -> Plain:
    if record.get("event") == "Starting":
        return {"format": 1, **record}
    if record.get("event") == "Decided":
        return upgrade_decision(record)
    if record.get("event") == "PhaseEnded" and record.get("reason") == "no better validation score":
        return {**record, "reason": "patience"}
    if record.get("event") == "Prepared" and str(record.get("weights")).startswith("random, seed "):
        return {**record, "weights": None}
    return record


STEPS = (_to_2,)
assert len(STEPS) == EVENTS - 1
