"""`python -m nbtransfer.jobs.runner FOLDER`: start the worker, stay with it, write down how it ended.

Without a folder it starts the worker all the same, and waits for a folder on its standard input: see `jobs.warm`.

The worker may be killed in ways it cannot report itself (out of memory, a segmentation fault), or hang. This process loads
nothing but the standard library, so that it is still there to tell. It forks itself off whoever started it: a kernel
that shuts down looks for its children.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from nbtransfer.store import atomic
from nbtransfer.store.heartbeat import Watch
from nbtransfer.store.paths import RunPaths

WORKER = [sys.executable, "-P", "-m", "nbtransfer.jobs.worker"]
IDLE_SECONDS = 600.0
LOOK_SECONDS = 0.5
STALL_SECONDS = 60.0


def main(folder: str) -> int:
    """Run one attempt; returns the worker's exit status."""
    return attend(subprocess.Popen([*WORKER, folder]), RunPaths(Path(folder)))


def wait_for_work() -> None:
    """Start a worker that only loads its frameworks; give it a run when one comes, else let it end."""
    worker = subprocess.Popen(WORKER, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert worker.stdin is not None
    with worker.stdin:
        coming, _, _ = select.select([sys.stdin], [], [], IDLE_SECONDS)
        folder = os.fsdecode(sys.stdin.buffer.readline().rstrip(b"\n")) if coming else ""
        if not folder or worker.poll() is not None:
            return
        worker.stdin.write(os.fsencode(folder) + b"\n")
    with contextlib.suppress(OSError):  # whoever asked may not wait for an answer
        sys.stdout.write("taken\n")
        sys.stdout.flush()
    attend(worker, RunPaths(Path(folder)))


def attend(worker: subprocess.Popen[bytes], paths: RunPaths) -> int:
    """Stay with a worker until it ends, and write down how it did."""
    started = time.time()

    def pass_on(signum: int, _frame: FrameType | None) -> None:
        worker.send_signal(signum)

    signal.signal(signal.SIGTERM, pass_on)
    code = _watched(worker, paths)
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
    # The run may have been deleted meanwhile. Somebody else's worker, which made this one superfluous, has its own runner.
    if paths.attempts.is_dir() and code != os.EX_TEMPFAIL:
        number = 1 + max((int(p.stem) for p in paths.attempts.glob("*.json") if p.stem.isdigit()), default=0)
        atomic.write_text(paths.attempts / f"{number}.json", json.dumps(record, indent=1))
    with contextlib.suppress(OSError):
        paths.kill.unlink(missing_ok=True)
    return code


def _watched(worker: subprocess.Popen[bytes], paths: RunPaths) -> int:
    """Wait for the end of a worker; say when it hangs, and kill it when somebody asks for that.

    Only its parent can be sure that a process number is still this worker's.
    """
    watch, patience = Watch(paths.heartbeat), float(os.environ.get("NBTRANSFER_STALL_SECONDS", STALL_SECONDS))
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = worker.wait(LOOK_SECONDS)
            paths.stalled.unlink(missing_ok=True)
            return code
        if paths.kill.exists():
            worker.kill()
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
        main(sys.argv[1]) if len(sys.argv) > 1 else wait_for_work()
    os._exit(os.EX_OK)
