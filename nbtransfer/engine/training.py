"""The story of a run: set up, go back to where it was, carry out phase by phase, judge. Yields events."""

from __future__ import annotations

import time
from collections.abc import Iterator

from nbtransfer.core import events as ev
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.repeat import Repeat
from nbtransfer.core.state import RunState
from nbtransfer.engine import summary
from nbtransfer.engine.control import Control, Unattended
from nbtransfer.engine.session import Session
from nbtransfer.engine.setup import set_up
from nbtransfer.store.paths import RunPaths


def carry_out(
    recipe: Recipe,
    paths: RunPaths,
    control: Control | None = None,
    past: RunState | None = None,
    repeat: Repeat | None = None,
) -> Iterator[ev.Event]:
    """All events of a run after `Starting`, up to `Finished`, `Stopped`, or a `Paused` with which the worker has `left`.

    It goes on from the newest checkpoint, if there is one. `past` is what earlier attempts said, `control` where commands come
    from, `repeat` the history of another run that this one repeats.
    """
    started, past = time.monotonic(), past or RunState()
    setup = set_up(recipe, paths, control or Unattended(), past, repeat or Repeat())
    context, session = setup.context, Session(setup, past)
    yield from session.restore()
    yield summary.prepared(context)
    yield from setup.decisions
    yield from summary.warnings(recipe, context.training_plan)
    for index in range(context.position[0], len(context.training_plan.phases)):
        yield from session.phase(index)
        if session.over:
            break
    if session.handler.left:
        return
    best = context.progress.best_epoch
    if best:
        yield from session.judge()
    yield from session.handler.refuse_all("it came too late: the run has ended")
    kept = f"the model is that of epoch {best}" if best else "no epoch had ended, so there is no model"
    why = context.progress.failure or session.handler.stopped
    if why:
        yield ev.Stopped(f"{why} ({kept})")
    else:
        yield ev.Finished(best, past.seconds + time.monotonic() - started)
