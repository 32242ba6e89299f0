"""Carry out a recipe: build, train phase by phase, judge, keep the result. Yields events."""

from __future__ import annotations

import time
from collections.abc import Iterator

from nbtransfer.core import events as ev
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.repeat import Repeat
from nbtransfer.core.state import RunState
from nbtransfer.engine import summary
from nbtransfer.engine.control import Control
from nbtransfer.engine.session import Session
from nbtransfer.store.paths import RunPaths


def carry_out(
    recipe: Recipe,
    paths: RunPaths,
    control: Control | None = None,
    past: RunState | None = None,
    repeat: Repeat | None = None,
) -> Iterator[ev.Event]:
    """All events of a run after `Starting`, up to `Finished`, `Stopped`, or a `Paused` with which the worker has `left`.

    It goes on from the newest checkpoint, if there is one. `past` is what earlier attempts said, `control` where people's
    commands come from, `repeat` the history of another run that this one repeats.
    """
    started = time.monotonic()
    session = Session(recipe, paths, control, past, repeat)
    yield from session.restored()
    yield session.prepared()
    yield from session.decisions
    yield from summary.warnings(recipe, session.course)
    for index in range(max(session.progress.phase, 0), len(session.course.phases)):
        yield from session.phase(index)
        if session.over:
            break
    if session.handler.left:
        return
    best = session.progress.best_epoch
    if best:
        yield from session.judge()
    yield from session.handler.refuse_all("it came too late: the run has ended")
    kept = f"the model is that of epoch {best}" if best else "no epoch had ended, so there is no model"
    why = session.progress.failure or session.handler.stopped
    if why:
        yield ev.Stopped(f"{why} ({kept})")
    else:
        yield ev.Finished(best, session.past.seconds + time.monotonic() - started)
