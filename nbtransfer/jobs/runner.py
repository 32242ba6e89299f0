"""`python -m nbtransfer.jobs.runner FOLDER`: start the worker, wait for it, write down how it ended.

The worker may be killed in ways it cannot report itself (out of memory, a segmentation fault). This process loads
nothing but the standard library, so that it is still there to tell. It forks itself off whoever started it: a kernel
that shuts down looks for its children.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from nbtransfer.store import atomic
from nbtransfer.store.paths import RunPaths


def main(folder: str) -> int:
    """Run one attempt; returns the worker's exit status."""
    paths = RunPaths(Path(folder))
    number = 1 + len([p for p in paths.attempts.iterdir() if p.suffix == ".json"])
    started = time.time()
    worker = subprocess.Popen([sys.executable, "-P", "-m", "nbtransfer.jobs.worker", folder, str(number)])

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
        main(sys.argv[1])
    os._exit(os.EX_OK)
