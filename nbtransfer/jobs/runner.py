"""`python -m nbtransfer.jobs.runner FOLDER`: start the worker, watch it, and record how it ended.

The worker may be killed in ways it cannot report itself (out of memory, a segmentation fault), or hang. This process loads
nothing but the standard library, so it survives to report. It detaches itself from the process that started it, because a
kernel that shuts down signals its children. If the frameworks are loaded already, it is a fork of the process that has
them: see `jobs.fork_server`.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Protocol

from nbtransfer.store import atomic
from nbtransfer.store.heartbeat import Watch
from nbtransfer.store.paths import RunPaths

LOOK_SECONDS = 0.5
STALL_SECONDS = 60.0


class Worker(Protocol):
    """The child that is watched: a `subprocess.Popen`, or a fork."""

    @property
    def pid(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, negative for a signal. Raises `subprocess.TimeoutExpired`."""

    def send_signal(self, number: int, /) -> None: ...

    def kill(self) -> None: ...


def main(folder: str) -> int:
    """Run one attempt; returns the worker's exit status."""
    return attend(subprocess.Popen([sys.executable, "-P", "-m", "nbtransfer.jobs.worker", folder]), RunPaths(Path(folder)))


def attend(worker: Worker, paths: RunPaths) -> int:
    """Stay with a worker until it ends, and write down how it did."""
    started = time.time()

    def pass_on(signum: int, _frame: FrameType | None) -> None:
        worker.send_signal(signum)

    signal.signal(signal.SIGTERM, pass_on)
    code = _watch(worker, paths)
    record = {
        "pid": worker.pid,
        "host": socket.gethostname(),
        "started": started,
        "ended": time.time(),
        "exit": code if code >= 0 else None,
        "signal": signal.Signals(-code).name if code < 0 else None,
        "asked": paths.kill.exists(),
        "peak_bytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    }
    if code == os.EX_TEMPFAIL:  # another worker made this one superfluous; its runner reports, and heeds requests
        return code
    if paths.attempts.is_dir():  # the run may have been deleted meanwhile
        number = 1 + max((int(p.stem) for p in paths.attempts.glob("*.json") if p.stem.isdigit()), default=0)
        atomic.write_text(paths.attempts / f"{number}.json", json.dumps(record, indent=1))
    with contextlib.suppress(OSError):
        paths.kill.unlink(missing_ok=True)
    return code


def _watch(worker: Worker, paths: RunPaths) -> int:
    """Wait for the end of a worker; report when it hangs, and kill it on request.

    Only its parent can be sure that a process number is still this worker's.
    """
    watch, patience = Watch(paths.heartbeat), float(os.environ.get("NBTRANSFER_STALL_SECONDS", STALL_SECONDS))
    while True:
        if paths.kill.exists():  # before the first wait, too: a request may be older than the worker
            worker.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = worker.wait(LOOK_SECONDS)
            paths.stalled.unlink(missing_ok=True)
            return code
        quiet = watch.quiet()
        with contextlib.suppress(OSError):
            if quiet < patience:
                paths.stalled.unlink(missing_ok=True)
            else:
                if not paths.stalled.exists():
                    worker.send_signal(signal.SIGUSR1)  # it writes the stacks of all threads into the log
                paths.stalled.write_text(f"{quiet:.0f}", encoding="ascii")


if __name__ == "__main__":
    if os.fork() == 0:
        main(sys.argv[1])
    os._exit(os.EX_OK)
