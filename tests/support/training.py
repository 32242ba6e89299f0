"""Recipes carried out in the test's own process, for what looks at each event."""

from __future__ import annotations

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.engine.checkpoints import result
from nbtransfer.engine.model.freezing import digest
from nbtransfer.engine.training import carry_out
from nbtransfer.store import runs

STAGES = nt.backbone("shufflenet_v2_x0_5").stages


def told(recipe, paths=None, control=None):
    return list(carry_out(recipe, paths or runs.create(recipe), control))


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


def weights(paths, recipe):
    return digest(result.load(paths, recipe).state_dict().values())


def decided(events, subject="cache"):
    return [e for e in of(events, ev.Decided) if e.subject == subject]


def epochs(events):
    """What training came to."""
    return [(e.train_loss, e.val_loss, e.val_correct) for e in of(events, ev.EpochEnded)]


def trained(recipe):
    """What training came to, the weights, and all events."""
    paths = runs.create(recipe)
    events = told(recipe, paths)
    return epochs(events), weights(paths, recipe), events
