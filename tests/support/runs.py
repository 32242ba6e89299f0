"""Runs carried out in the test's own process, for what only looks at them."""

from __future__ import annotations

from nbtransfer.core import events as ev
from nbtransfer.engine.training import carry_out
from nbtransfer.jobs.run import Run
from nbtransfer.store import runs
from nbtransfer.store.journal import JournalWriter


def carried_out(recipe, repeat=None):
    """The finished run of a recipe, or of one that repeats another."""
    paths = runs.create(recipe, repeat)
    journal = JournalWriter(paths.events, 1)
    for event in [ev.Starting(1, "h", "3"), *carry_out(recipe, paths, repeat=repeat)]:
        journal.append(event)
    journal.close()
    return Run(paths)
