"""The story of a run: set up, restore, run each phase, evaluate the result. Yields events."""

from __future__ import annotations

import time
from collections.abc import Iterator

from nbtransfer.core import events as ev
from nbtransfer.core.messages import message
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

    Continues from the newest checkpoint, if there is one. `control` is the source of commands, `past` the state after earlier
    attempts, `repeat` the history of another run that this one repeats.
    """
    started, past = time.monotonic(), past or RunState()
    setup = set_up(recipe, paths, control or Unattended(), past, repeat or Repeat())
    context, session = setup.context, Session(setup, past)
    yield from session.restore()
    yield summary.prepared_event(context)
    yield from setup.decisions
    yield from summary.warnings(recipe, context.training_plan)
    for index in range(context.position[0], len(context.training_plan.phases)):
        yield from session.run_phase(index)
        if session.is_over:
            break
    if session.handler.has_left:
        return
    best = context.progress.best_epoch
    if best:
        yield from session.judge_result()
    yield from session.handler.refuse_all(message("refused.late"))
    why = context.progress.failure or session.handler.stop_reason
    if why:
        yield ev.Stopped(message("end.with_model", why=why, epoch=best) if best else message("end.without_model", why=why))
    else:
        yield ev.Finished(best, past.seconds + time.monotonic() - started)
