"""One line of the journal: an event with its sequence number, its attempt, and two clocks.

Order comes from `seq`, durations from the monotonic `clock`; wall time is for display.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbtransfer.core.codec import from_plain, to_plain
from nbtransfer.core.events import Event
from nbtransfer.core.formats import events as formats
from nbtransfer.core.formats.numbers import EVENTS
from nbtransfer.errors import InputError


@dataclass(frozen=True, slots=True)
class Record:
    """One journal line."""

    seq: int
    attempt: int
    time: float
    clock: float
    event: Event

    def to_plain(self) -> dict[str, Any]:
        head = {"seq": self.seq, "attempt": self.attempt, "time": self.time, "clock": self.clock}
        return {**head, "event": type(self.event).__name__, **to_plain(self.event)}

    @classmethod
    def from_plain(cls, data: Any, number: int = EVENTS) -> Record:
        """A line in format `number`; raises InputError if it is not a record of a known event."""
        if not isinstance(data, dict):
            raise InputError(f"not a journal record: {data!r}")
        rest = dict(data) if number > EVENTS else formats.upgrade(data, number)
        try:
            seq, attempt, at, clock, name = (rest.pop(key) for key in formats.HEAD)
            kind = _all_events()[name]
        except KeyError as error:
            raise InputError(f"not a journal record: {error} is missing or unknown") from error
        known = formats.known_part(rest, kind) if number > EVENTS else rest
        return cls(seq, attempt, at, clock, from_plain(kind, known))


def _all_events() -> dict[str, type[Event]]:
    return {kind.__name__: kind for kind in Event.__subclasses__()}
