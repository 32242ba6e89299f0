"""Somebody who asks things of a run that is carried out in the test's own process."""

from __future__ import annotations

from nbtransfer.store.inbox import Command


class Commands:
    """Asks for `op` with arguments when `waiting` is called for the `count`-th time; several in order."""

    def __init__(self, *commands):
        self._commands = [
            (count, Command(str(number), op, "me", arguments)) for number, (count, op, arguments) in enumerate(commands)
        ]
        self.asked = 0
        self.ended_by = None
        self.rests = 0

    def waiting(self):
        self.asked += 1
        return any(count <= self.asked for count, _ in self._commands)

    def take(self):
        return [command for count, command in self._commands if count <= self.asked]

    def refusal(self, command):
        return None

    def done(self, command):
        self._commands = [(count, other) for count, other in self._commands if other.id != command.id]

    def rest(self):
        """While the run is paused, what is asked next comes sooner."""
        self.rests += 1
        self.asked += 1
        return bool(self._commands)


def stop_after(count):
    """Say stop when asked for the `count`-th time."""
    return Commands((count, "stop", {}))
