"""Many runs, and a run that has said much: how long it takes to look at them.

python -m benchmarks.store
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.core.codec import dumps
from nbtransfer.core.record import Record
from nbtransfer.store import runs
from nbtransfer.store.journal import JournalWriter
from nbtransfer.store.paths import RunPaths
from nbtransfer.ui.series import Series

RUNS, EVENTS, EPOCHS = 10_000, 1_000_000, 1_000


def measure() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        os.environ["NBTRANSFER_HOME"] = name
        first = a_run()
        for number in range(RUNS - 1):
            shutil.copytree(first.root, first.root.with_name(f"20200101-{number // 100:06d}-{number:06x}"))
        found = {"listing 10,000 runs, s": seconds(lambda: repr(nt.runs()))}
        write(first.events)
        before = peak(reset=True)
        found["attaching to a run of 1,000,000 events, s"] = seconds(lambda: nt.attach(first.id).state)
        found["the chart of it, s"] = seconds(lambda: Series(first).read())
        found["memory for both, MB"] = (peak() - before) / 1e6
        writer = JournalWriter(first.events, 2)
        step = ev.Step("ft", 1, 1, 9, 0.5, 0.1, 20.0)
        found["writing one event, µs"] = 1e6 * seconds(lambda: [writer.append(step) for _ in range(1000)]) / 1000
        return found


def a_run() -> RunPaths:
    pixels = np.arange(8, dtype=np.uint8)[:, None, None, None] * np.ones((8, 8, 8, 3), np.uint8)
    return runs.create(nt.Recipe(task=nt.Task.from_arrays(pixels, np.arange(8) % 2), backbone="resnet18"))


def write(path: Path) -> None:
    of = EVENTS // EPOCHS
    with path.open("w", encoding="ascii") as stream:
        for epoch in range(EPOCHS):
            lines = [ev.Step("ft", epoch + 1, step + 1, of, 0.5, 0.1, 20.0) for step in range(of - 1)]
            lines.append(ev.EpochEnded("ft", epoch + 1, epoch * of, 0.5, 0.9, 0.4, 3, 4, 0.01, 1.5, best=False))
            for number, event in enumerate(lines):
                stream.write(dumps(Record(epoch * of + number, 1, 1.5, 2.5, event).to_plain()) + "\n")


def peak(*, reset: bool = False) -> float:
    """The most bytes of memory this process had at a time, perhaps from now on."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def seconds(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    for what, value in measure().items():
        print(f"{what:45} {value:10.3f}")
