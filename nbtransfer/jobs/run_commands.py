"""Send a command to a run, and wait for the answer.

A folder in which a newer version of nbtransfer wrote is refused before anything is written to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.codec import to_plain
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.scalars import plain
from nbtransfer.core.state import RunState
from nbtransfer.core.training_plan import check
from nbtransfer.errors import PlanError, RunError
from nbtransfer.jobs import exit_reports, process
from nbtransfer.jobs.run_reader import START_SECONDS, RunReader
from nbtransfer.store import checkpoints, inbox, kept_weights, runs
from nbtransfer.store.lock import is_held
from nbtransfer.store.paths import RunPaths
from nbtransfer.usercode import trusted

POLL_SECONDS = 0.02
ANSWER_SECONDS = 5.0


def ask(
    run: RunReader, op: str, *, timeout: float = ANSWER_SECONDS, unless_changed: bool = False, **arguments: Any
) -> RunState:
    """Send a command and wait up to `timeout` seconds for its answer; it is carried out even if the answer comes later.

    With `unless_changed` it is refused if someone else has changed the run since this reader last looked. Raises RunError
    if it is refused, if the run has ended, or if the worker ends before it answers.
    """
    seen, state = run.seen, run.state  # in this order: what was seen before now
    require_known_format(run.paths, state)
    if state.over or (state.waits and state.waits.left):
        what = "change" if unless_changed else op
        hint = "run.continue_(epochs=…) trains it further, as a new run" if state.status == "finished" else "resume it first"
        raise RunError(f"run {run.id} is {state.status}, so there is nothing to {what}; {hint}")
    command = inbox.send(run.paths.control, op, seen=seen if unless_changed else None, **arguments)
    state = _wait_for_answer(run, command.id, timeout)
    if state.status == "lost" and all(answer.id != command.id for answer in state.commands):
        raise RunError(f"run {run.id} was lost before it could {op}; the command is carried out after resume()")
    return state


def change(run: RunReader, op: str, **arguments: Any) -> RunState:
    """Change the training plan of a run from its next step on; raises an InputError, or RunError like `ask`."""
    arguments = {name: plain(value) for name, value in arguments.items()}
    check(op, arguments)
    return ask(run, op, unless_changed=True, **arguments)


def change_layers(run: RunReader, card: BackboneCard, op: str, layers: tuple[str, ...], **arguments: Any) -> RunState:
    """Freeze or thaw layers; raises PlanError if there is no such layer, else like `change`."""
    if not layers:
        raise PlanError(f"{op} needs the name of a layer or stage, such as {card.stages[-1]!r}")
    FreezePlan().freeze(*layers).resolve(card)
    return change(run, op, layers=list(layers), **arguments)


def replan(run: RunReader, card: BackboneCard, plan: FreezePlan) -> RunState:
    """Put `plan` in force, with its rates and normalisation; raises PlanError if it does not fit, else like `change`."""
    plan.resolve(card)
    return change(run, "replan", rules=to_plain(plan.rules))


def stop(run: RunReader, timeout: float = ANSWER_SECONDS) -> RunState:
    """Ask a run to stop; one that has ended is left alone. If its worker has exited, a new one keeps the best model.

    A worker that is about to begin finds the command, and stops before its first step.
    """
    state = run.state
    require_known_format(run.paths, state)
    if state.over and not run.never_began:
        return state
    command = inbox.send(run.paths.control, "stop")
    if state.waits and state.waits.left:
        return _start_worker(run, state.attempt)
    return _wait_for_answer(run, command.id, timeout)


def resume(run: RunReader, timeout: float = ANSWER_SECONDS) -> RunState:
    """Continue a run: a paused one where it is, any other unfinished one from its newest checkpoint.

    Raises RunError if it is finished, and FormatError if another version wrote that checkpoint; neither starts anything.
    """
    state = run.state
    require_known_format(run.paths, state)
    if state.status == "finished":
        raise RunError(f"run {run.id} is finished, so there is nothing to resume; run.continue_(epochs=…) trains it further")
    working = is_held(run.paths.lock)
    pending = inbox.has_any(run.paths.control)  # such as a pause not yet acknowledged
    if working and not pending and state.status not in ("paused", "stopping"):
        return state
    if not working:
        checkpoints.require_resumable(run.paths.checkpoints)
    command = inbox.send(run.paths.control, "resume")
    if working:
        answered = _wait_for_answer(run, command.id, timeout, unless=lambda: not is_held(run.paths.lock))
        if is_held(run.paths.lock) or answered.seq > state.seq:
            return answered
    return _start_worker(run, state.attempt)


def require_known_format(paths: RunPaths, state: RunState) -> None:
    """Raise RunError if a newer version made the run or went on with it: what it has written is not known here."""
    runs.read_spec(paths)
    if state.newer:
        raise RunError(f"a newer version of nbtransfer went on with run {paths.id}; update nbtransfer")


def kill(run: RunReader) -> None:
    """Let the runner kill its worker, also one that is about to begin, and wait for that; without a worker, do nothing.

    Raises RunError if the worker may still be there.
    """
    if not is_held(run.paths.lock) and not run.never_began:
        return
    pid = run.state.pid
    run.paths.kill.touch(mode=0o600)
    deadline = time.monotonic() + START_SECONDS
    while run.paths.kill.exists() or _is_alive(run, pid):  # the runner removes it once it has written down the worker's end
        late = time.monotonic() >= deadline
        over = not is_held(run.paths.lock) and not run.never_began and run.state.over
        if over and (late or exit_reports.newest(run.paths, run.state.pid)):
            run.paths.kill.unlink(missing_ok=True)  # the worker ended by itself, and its runner before it saw the request
        elif late:
            raise RunError(f"no runner has killed the worker of run {run.id} within {START_SECONDS:.0f} s; see its log")
        elif not run.paths.kill.exists():
            run.paths.kill.touch(mode=0o600)  # the runner of another worker has taken it for its own
        time.sleep(POLL_SECONDS)


def _is_alive(run: RunReader, pid: int | None) -> bool:
    """Whether the worker that was there is still there."""
    return is_held(run.paths.lock) and run.state.pid == pid


def delete(run: RunReader) -> None:
    """Remove the folder of a run; raises RunError while a worker has it, or is about to."""
    state = run.state
    if is_held(run.paths.lock) or state.status == "created":
        raise RunError(f"run {run.id} is {state.status}; stop it first, and wait until it has ended")
    began_from = _weights_named(run)
    runs.delete(run.paths)
    kept_weights.drop_unless_named(began_from)


def _weights_named(run: RunReader) -> str | None:
    try:
        weights = runs.read_spec(run.paths)["recipe"].get("weights")
    except RunError:  # a damaged run is deleted all the same
        return None
    return weights if isinstance(weights, str) else None


def _wait_for_answer(run: RunReader, command: str, timeout: float, unless: Callable[[], bool] = lambda: False) -> RunState:
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


def _start_worker(run: RunReader, attempt: int) -> RunState:
    """Start another worker, and wait for its first event."""
    recipe = runs.read_recipe(run.paths)
    trusted.require(recipe.code)
    if recipe.task.kind != "code" and not Path(recipe.task.root).exists():
        raise RunError(
            f"the images of run {run.id} are no longer in {recipe.task.root}; say where they are, with run.at(folder).resume() "
            "or `resume RUN --data FOLDER`"
        )
    deadline = time.monotonic() + START_SECONDS
    while is_held(run.paths.lock) and time.monotonic() < deadline:  # the last one is about to end
        time.sleep(POLL_SECONDS)
    run.paths.kill.unlink(missing_ok=True)  # it was about an earlier worker
    process.launch(run.paths)
    while run.state.attempt <= attempt:
        if time.monotonic() >= deadline:
            raise RunError(f"no worker started for run {run.id} within {START_SECONDS:.0f} s; see its log")
        time.sleep(POLL_SECONDS)
    return run.state
