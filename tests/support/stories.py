"""Runs over several attempts in the test's own process: killed between two steps, and gone on with."""

from __future__ import annotations

import functools
import random
from dataclasses import replace

from nbtransfer.core import events as ev
from nbtransfer.core.record import Record
from nbtransfer.core.state import fold
from nbtransfer.engine.checkpoints import checkpoint, result
from nbtransfer.engine.control import Unattended
from nbtransfer.engine.model.freezing import digest
from nbtransfer.engine.training import carry_out
from nbtransfer.store import runs
from tests.support.commands import Commands


class Killed(BaseException):
    """As sudden as a signal can be in the test's own process."""


class Killer(Unattended):
    """Kills when it is asked for the `count`-th time whether anything waits: between two steps."""

    def __init__(self, count):
        self.left = count

    def waiting(self):
        self.left -= 1
        if self.left < 0:
            raise Killed
        return False


class KilledAfter(Commands):
    """Kills as soon as the answer to `op` has been written."""

    def __init__(self, op, *commands):
        super().__init__(*commands)
        self.op = op

    def done(self, command):
        if command.op == self.op:
            raise Killed
        super().done(command)


class Story:
    """A run over several attempts, with what its journal would hold."""

    def __init__(self, recipe, repeat=None):
        self.recipe, self.repeat = recipe, repeat
        self.paths, self.records, self.attempts = runs.create(recipe), [], 0

    @property
    def state(self):
        return fold(self.records)

    def attempt(self, control=None):
        """One worker; True when it said its last word."""
        past = self.state
        self.attempts += 1
        self.note(ev.Starting(self.attempts, "h", "3"))
        try:
            for event in carry_out(self.recipe, self.paths, control, past if past.pid else None, self.repeat):
                self.note(event)
        except Killed:
            return False
        return True

    def note(self, event):
        number = len(self.records)
        self.records.append(Record(number, self.attempts, 0.0, float(number), event))

    def outcome(self):
        """Everything a run leaves but times: weights, buffers, history, scores, each prediction, the receipt, snapshots."""
        rows = [replace(row, seconds=0.0) for row in self.state.history]
        model = result.load(self.paths, self.recipe)
        written = {path.name: path.read_text() for path in sorted(self.paths.result.iterdir()) if path.is_file()}
        snapshots = {
            path.name: digest(tensor for _, tensor in sorted(checkpoint.load(path)[0].items()))
            for path in self.paths.snapshots.iterdir()
        }
        return digest(model.state_dict().values()), rows, self.state.evaluations, self.state.receipt, written, snapshots


@functools.cache
def uninterrupted(recipe):
    """What comes of a recipe that nobody kills; computed once."""
    story = Story(recipe)
    assert story.attempt()
    return story.outcome()


def killed_again_and_again(recipe, seed, longest=11):
    """Killed after a few steps at a time. Sometimes sooner than the next checkpoint, so later attempts get more time."""
    chance, story = random.Random(seed), Story(recipe)
    while not story.attempt(Killer(chance.randint(1, longest) + story.attempts)):
        assert story.attempts < 100
    assert story.attempts > 2
    return story
