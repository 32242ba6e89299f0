"""A worker that is killed in the middle of an epoch, and resumed: are the weights those of a run that went through?"""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import nbtransfer as nt
from benchmarks.gpu.ours import carried_out, difference, how_close, recipe
from benchmarks.gpu.scene import Scene
from benchmarks.gpu.steps import Finding
from nbtransfer.engine.checkpoints import checkpoint
from nbtransfer.jobs import warm
from nbtransfer.store import checkpoints

EVERY = 5
PATIENCE, SECONDS_TO_LOAD = 90.0, 12.0


def resumed(scene: Scene) -> Finding:
    """Bitwise where two runs that went through are bitwise equal too; else about as far apart as those are."""
    made = recipe(
        scene.small, scene, scene.sizes.network, strategy="ft", epochs=3, checkpoint_every=EVERY, batch_size=_batch(scene)
    )
    through, other = (carried_out(made).tensors for _ in range(2))
    repeatable, spread = difference(through, other)
    run = nt.start(dataclasses.replace(made, title="to be killed"))
    began = time.monotonic()
    killed_at = _killed(run)
    until(lambda: run.state.status == "lost", "it was not noticed that the worker had been killed")
    noticed = time.monotonic()
    run.resume()
    state = run.wait(PATIENCE)
    if state.status != "finished" or state.resumed is None:
        return Finding(good=False, text=f"{state.status}: {state.message}", figures={"log": run.log(60)})
    tensors, _ = checkpoint.load(run.paths.best_model)
    same, gap = difference(through, tensors)
    figures = {
        "killed at": killed_at, "went on at": state.resumed.step, "differences": state.resumed.differences, "bitwise": same,
        "difference": gap, "two whole runs bitwise": repeatable, "two whole runs": spread,
        "seconds until killed": noticed - began, "seconds from resuming": time.monotonic() - noticed,
    }  # fmt: skip
    good = same if repeatable else gap <= 10 * spread
    text = f"killed at step {killed_at}, went on at {state.resumed.step}: {how_close(same, gap)}"
    text += f"; two runs that went through: {how_close(repeatable, spread)}"
    return Finding(good, text, figures)


def forked(scene: Scene) -> Finding:
    """A worker that is a fork of a process with the frameworks loaded can use the GPU, and begins sooner."""
    made = recipe(scene.small, scene, scene.sizes.network, strategy="ft", epochs=1, batch_size=_batch(scene))
    before, figures = os.environ.pop("NBTRANSFER_WARM", None), {}
    try:
        warm.keep()
        figures["forked"] = _seconds_of_a_run(made, wait=SECONDS_TO_LOAD)
        os.environ["NBTRANSFER_WARM"] = "0"
        figures["cold"] = _seconds_of_a_run(made, wait=0)
    finally:
        os.environ.pop("NBTRANSFER_WARM", None)
        if before is not None:
            os.environ["NBTRANSFER_WARM"] = before
    text = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in figures.items())
    return Finding(good=True, text=f"from starting a run of one epoch to its end: {text}", figures=figures)


def _seconds_of_a_run(made: nt.Recipe, wait: float) -> float:
    time.sleep(wait)
    began = time.monotonic()
    run = nt.start(made)
    state = run.wait(PATIENCE)
    if state.status != "finished":
        raise RuntimeError(f"{state.status}: {state.message}; {run.log(8)}")
    assert state.prepared is not None
    device = made.device.partition(":")[0]
    if not state.prepared.device.startswith(device):
        raise RuntimeError(f"the run was carried out on {state.prepared.device}")
    return time.monotonic() - began


def _batch(scene: Scene) -> int:
    """Some twenty steps an epoch, or as many as there can be."""
    return max(2, scene.sizes.small // 20)


def _killed(run: nt.Run) -> int:
    """Kill the worker in the middle of an epoch, after a checkpoint inside it; returns the step."""

    def inside() -> bool:
        steps = [int(path.name.split("-")[1]) for path in _checkpoints(run.paths.checkpoints)]
        whole = [row.step for row in run.state.history]
        return bool(whole) and any(step > whole[-1] for step in steps)

    until(inside, "there was no checkpoint inside an epoch", lambda: run.state.ended)
    state = run.state
    assert state.pid is not None
    os.kill(state.pid, signal.SIGKILL)
    return state.step


def _checkpoints(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if checkpoints.is_name(path.name)]


def until(condition: Callable[[], bool], otherwise: str, ended: Callable[[], bool] = lambda: False) -> None:
    """Wait; raises RuntimeError that says what did not happen."""
    began = time.monotonic()
    while not condition():
        if ended() or time.monotonic() - began > PATIENCE:
            raise RuntimeError(otherwise)
        time.sleep(0.002)
