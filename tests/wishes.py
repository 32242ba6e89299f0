"""Somebody who asks things of a run that is carried out in the test's own process."""

from __future__ import annotations

from nbtransfer.store.inbox import Command


class Wishes:
    """Asks for `op` with arguments when `waiting` is called for the `count`-th time; several in order."""

    def __init__(self, *wishes):
        self._wishes = [
            (count, Command(str(number), op, "me", arguments)) for number, (count, op, arguments) in enumerate(wishes)
        ]
        self.asked = 0
        self.ended_by = None
        self.rests = 0

    def waiting(self):
        self.asked += 1
        return any(count <= self.asked for count, _ in self._wishes)

    def take(self):
        return [wish for count, wish in self._wishes if count <= self.asked]

    def refusal(self, wish):
        return None

    def done(self, wish):
        self._wishes = [(count, other) for count, other in self._wishes if other.id != wish.id]

    def rest(self):
        """While the run is paused, what is asked next comes sooner."""
        self.rests += 1
        self.asked += 1
        return bool(self._wishes)


def stop_after(count):
    """Say stop when asked for the `count`-th time."""
    return Wishes((count, "stop", {}))
