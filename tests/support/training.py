"""Recipes carried out in the test's own process, for what looks at each event."""

from __future__ import annotations

from nbtransfer.engine.checkpoints import result
from nbtransfer.engine.model.freezing import digest
from nbtransfer.engine.training import carry_out
from nbtransfer.store import runs


def told(recipe, paths=None, control=None):
    return list(carry_out(recipe, paths or runs.create(recipe), control))


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


def weights(paths, recipe):
    return digest(result.load(paths, recipe).state_dict().values())
