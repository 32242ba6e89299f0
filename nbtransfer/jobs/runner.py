"""`python -m nbtransfer.jobs.runner FOLDER`: start the worker, wait for it, write down how it ended.

Without a folder it starts the worker all the same, and waits for a folder on its standard input: see `jobs.warm`.

The worker may be killed in ways it cannot report itself (out of memory, a segmentation fault). This process loads
nothing but the standard library, so that it is still there to tell. It forks itself off whoever started it: a kernel
that shuts down looks for its children.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from nbtransfer.store import atomic
from nbtransfer.store.paths import RunPaths

WORKER = [sys.executable, "-P", "-m", "nbtransfer.jobs.worker"]
IDLE_SECONDS = 600.0


def main(folder: str) -> int:
    """Run one attempt; returns the worker's exit status."""
    paths = RunPaths(Path(folder))
    number = _next_attempt(paths)
    return attend(subprocess.Popen([*WORKER, folder]), paths, number)


def wait_for_work() -> None:
    """Start a worker that only loads its frameworks; give it a run when one comes, else let it end."""
    worker = subprocess.Popen(WORKER, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert worker.stdin is not None
    with worker.stdin:
        coming, _, _ = select.select([sys.stdin], [], [], IDLE_SECONDS)
        folder = os.fsdecode(sys.stdin.buffer.readline().rstrip(b"\n")) if coming else ""
        if not folder or worker.poll() is not None:
            return
        paths = RunPaths(Path(folder))
        number = _next_attempt(paths)
        worker.stdin.write(os.fsencode(folder) + b"\n")
    with contextlib.suppress(OSError):  # whoever asked may not wait for an answer
        sys.stdout.write("taken\n")
        sys.stdout.flush()
    attend(worker, paths, number)


def _next_attempt(paths: RunPaths) -> int:
    return 1 + len([p for p in paths.attempts.iterdir() if p.suffix == ".json"])


def attend(worker: subprocess.Popen[bytes], paths: RunPaths, number: int) -> int:
    """Stay with a worker until it ends, and write down how it did."""
    started = time.time()

    def pass_on(signum: int, _frame: FrameType | None) -> None:
        worker.send_signal(signum)

    signal.signal(signal.SIGTERM, pass_on)
    code = worker.wait()
    record = {
        "attempt": number,
        "pid": worker.pid,
        "host": socket.gethostname(),
        "started": started,
        "ended": time.time(),
        "exit": code if code >= 0 else None,
        "signal": signal.Signals(-code).name if code < 0 else None,
    }
    if paths.attempts.is_dir():  # the run may have been deleted meanwhile
        atomic.write_text(paths.attempts / f"{number}.json", json.dumps(record, indent=1))
    return code


if __name__ == "__main__":
    if os.fork() == 0:
        main(sys.argv[1]) if len(sys.argv) > 1 else wait_for_work()
    os._exit(os.EX_OK)
