"""Ask something of a run, and wait for the answer.

A folder that another format of runs was written in is refused before anything is written to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbtransfer.core.state import RunState
from nbtransfer.errors import RunError
from nbtransfer.jobs import process
from nbtransfer.store import inbox, runs
from nbtransfer.store.lock import is_held
from nbtransfer.usercode import trusted

if TYPE_CHECKING:
    from nbtransfer.jobs.run import Run

POLL_SECONDS = 0.02
ANSWER_SECONDS = 5.0
START_SECONDS = 20.0


def ask(run: Run, op: str, *, timeout: float = ANSWER_SECONDS, heed: bool = False, **arguments: Any) -> RunState:
    """Send a command and wait for its answer, for `timeout` seconds at most: it is carried out all the same.

    With `heed` it is refused when somebody else has changed the run since its holder looked last. Raises RunError when
    it is refused, when nobody is there to carry it out, or when the worker ends before it has answered.
    """
    runs.read_spec(run.paths)
    seen, state = run.seen, run.state
    if state.over or (state.waits and state.waits.left):
        raise RunError(f"run {run.id} is {state.status}, so there is nothing to {op}; resume it first, or start another")
    command = inbox.send(run.paths.control, op, seen=seen if heed else None, **arguments)
    state = _answered(run, command.id, timeout)
    if state.status == "lost" and all(answer.id != command.id for answer in state.commands):
        raise RunError(f"run {run.id} was lost before it could {op}; that waits, and is done after resume()")
    return state


def stop(run: Run, timeout: float = ANSWER_SECONDS) -> RunState:
    """Ask a run to stop. One that has ended is left alone; for one whose worker has left, another one keeps the best model."""
    runs.read_spec(run.paths)
    state = run.state
    if state.over:
        return state
    command = inbox.send(run.paths.control, "stop")
    if state.waits and state.waits.left:
        return _begun(run, state.attempt)
    return _answered(run, command.id, timeout)


def resume(run: Run, timeout: float = ANSWER_SECONDS) -> RunState:
    """Let a run go on: a paused one where it is, any other that has not finished from its newest checkpoint."""
    runs.read_spec(run.paths)
    state = run.state
    at_work = is_held(run.paths.lock)
    asked = inbox.has_any(run.paths.control)  # a pause that was not taken yet, say
    if state.status == "finished" or (at_work and not asked and state.status not in ("paused", "stopping")):
        return state
    command = inbox.send(run.paths.control, "resume")
    if at_work:
        answered = _answered(run, command.id, timeout, unless=lambda: not is_held(run.paths.lock))
        if is_held(run.paths.lock) or answered.seq > state.seq:
            return answered
    return _begun(run, state.attempt)


def _answered(run: Run, command: str, timeout: float, unless: Callable[[], bool] = lambda: False) -> RunState:
    deadline = time.monotonic() + timeout
    while True:
        over = unless()
        state = run.state
        answer = next((answer for answer in reversed(state.commands) if answer.id == command), None)
        if answer is not None and not answer.accepted:
            raise RunError(f"run {run.id} refuses to {answer.op}: {answer.message}")
        if answer is not None or over or state.over or time.monotonic() >= deadline:
            return state
        time.sleep(POLL_SECONDS)


def _begun(run: Run, attempt: int) -> RunState:
    """Start another worker, and wait until it says that it is there."""
    trusted.require(run.recipe.code)
    deadline = time.monotonic() + START_SECONDS
    while is_held(run.paths.lock) and time.monotonic() < deadline:  # the last one is about to end
        time.sleep(POLL_SECONDS)
    process.launch(run.paths)
    while run.state.attempt <= attempt:
        if time.monotonic() >= deadline:
            raise RunError(f"no worker has begun to go on with run {run.id}; see its log")
        time.sleep(POLL_SECONDS)
    return run.state
