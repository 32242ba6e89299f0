"""What a person at a notebook waits for, in seconds: imports, the start of a run, its first word, the news of its death."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

REPEATS, SECONDS_TO_LOAD = 7, 120


def measure() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NBTRANSFER_HOME"] = str(Path(folder) / "home")
        bare, ours = [], []
        for _ in range(REPEATS):
            bare.append(process_seconds("pass"))
            ours.append(process_seconds("import nbtransfer"))
        figures = {
            "import nbtransfer, beyond a bare interpreter (goal 0.15)": statistics.median(ours) - statistics.median(bare)
        }
        return figures | run_latencies()


def process_seconds(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - started


def run_latencies() -> dict[str, float]:
    import nbtransfer as nt

    images = np.random.default_rng(0).integers(0, 255, (64, 32, 32, 3), dtype=np.uint8)
    task = nt.Task.from_arrays(images, np.arange(64) % 2)
    recipe = nt.Recipe(
        task=task, backbone="shufflenet_v2_x0_5", weights=None, strategy="ft", epochs=10_000, image_size=32, threads=1
    )
    rows = [one_run(nt, recipe) for _ in range(REPEATS)]
    names = (
        "nbtransfer.start returns (goal 0.3)",
        "first event, counted from the call of start (goal 0.5)",
        "first step of training, likewise",
        "a killed worker is shown as lost (goal 1)",
    )
    figures = {name: statistics.median(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
    figures["first step of training, by a worker that was kept ready"] = statistics.median(
        from_a_warm_worker(nt, recipe) for _ in range(REPEATS)
    )
    return figures | answers(nt.start(recipe))


def from_a_warm_worker(nt, recipe) -> float:
    """Seconds to the first step. The worker has had time to load its frameworks, as while somebody chooses what to do."""
    from nbtransfer.jobs import warm

    warm.keep()
    assert warm.ready(SECONDS_TO_LOAD)
    return one_run(nt, recipe)[2]


def answers(run) -> dict[str, float]:
    """Changes of a run at work: the time until each is on the disk, acknowledged, and the call has returned."""
    until(run, lambda state: state.history, 0)
    found = [
        {"set_lr": timed(run.set_lr, 1e-3 / (n + 1)), "freeze": timed(run.freeze, "stem"), "thaw": timed(run.thaw, "stem")}
        for n in range(3 * REPEATS)
    ]
    run.stop()
    state = run.wait()
    steps = [(row.seconds) / (row.step - before.step) for before, row in zip(state.history, state.history[1:], strict=False)]
    goal = 0.1 + statistics.median(steps)
    return {
        f"{op} is acknowledged (goal {goal:.2f}: 0.1 and a step)": statistics.median(row[op] for row in found)
        for op in found[0]
    }


def timed(call, *arguments) -> float:
    begin = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - begin


def one_run(nt, recipe) -> tuple[float, float, float, float]:
    begin = time.perf_counter()
    run = nt.start(recipe)
    started = time.perf_counter() - begin
    first = until(run, lambda state: state.seq >= 0, begin)
    training = until(run, lambda state: state.progress is not None, begin)
    os.kill(run.state.pid, signal.SIGKILL)
    return started, first, training, until(run, lambda state: state.status == "lost", time.perf_counter())


def until(run, condition, since: float) -> float:
    while not condition(run.state):
        time.sleep(0.002)
    return time.perf_counter() - since


if __name__ == "__main__":
    for what, value in measure().items():
        print(f"{what:58} {value:8.3f}")
