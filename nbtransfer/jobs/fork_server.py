"""`python -m nbtransfer.jobs.fork_server`: load what every run needs once, then fork a runner and its worker for each run.

`jobs.warm` is its client. It writes one JSON object a line to standard input and gets one word a line back:

    (loaded)                                        ready
    {"folder": "…/runs/ID", "environment": {…}}     ack

A fork has the memory of its parent but none of its threads. So this process computes nothing, touches no GPU, and exits if
an import did: torch's thread pools and the driver of a GPU would not work in a fork. NumPy's BLAS stops its threads before
a fork by itself. It ends when its input does, or after ten minutes without a run.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import IO, Any

from nbtransfer.jobs import runner, worker
from nbtransfer.jobs.child import IDLE_SECONDS, lower_priority, wait_for_input
from nbtransfer.store.paths import RunPaths


class ForkedWorker(ForkProcess):
    """A worker that shares the memory of this process; for `runner.attend`, the same as one that is a program of its own."""

    def wait(self, timeout: float | None = None) -> int:
        self.join(timeout)
        if self.exitcode is None:
            raise subprocess.TimeoutExpired("worker", timeout or 0.0)
        return self.exitcode

    def send_signal(self, number: int) -> None:
        if self.exitcode is None and self.pid is not None:
            os.kill(self.pid, number)


def main(requests: IO[bytes], answers: IO[str], idle: float = IDLE_SECONDS) -> None:
    """Fork until there are no more requests, or none for a while."""
    lower_priority()
    importlib.import_module("nbtransfer.engine.training")
    if not may_fork():
        return
    gc.collect()
    gc.freeze()  # a collection in a fork would write to, and so copy, every page that holds an object
    print("ready", file=answers, flush=True)
    # The client waits for each answer, so no second request is ever hidden in a buffer.
    while wait_for_input(requests, idle):
        line = requests.readline()
        if not line:
            break
        detach(json.loads(line), answers)
        print("ack", file=answers, flush=True)


def may_fork() -> bool:
    """Whether nothing was started that a fork would miss."""
    torch = sys.modules.get("torch")
    return threading.active_count() == 1 and not (torch and torch.cuda.is_initialized())


def detach(request: Mapping[str, Any], answers: IO[str]) -> None:
    """Fork a detached process that carries out a run, in a session of its own, as a cold start does."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            answers.close()  # its reader should notice when this server ends, however long the run goes on
            carry_out(RunPaths(Path(request["folder"])), request["environment"])
    except BaseException:  # noqa: BLE001 - two processes must not go on in the loop of the server
        traceback.print_exc()
    finally:
        os._exit(os.EX_OK)


def carry_out(paths: RunPaths, environment: Mapping[str, str]) -> None:
    """Become the runner of a run, and fork its worker."""
    os.environ.clear()
    os.environ.update(environment)
    with Path(os.devnull).open("rb") as nothing, paths.log.open("ab") as log:
        for stream, number in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(stream.fileno(), number)
    os.chdir(paths.root)
    forked = ForkedWorker(target=_work, args=(str(paths.root),))
    forked.start()
    runner.attend(forked, paths)


def _work(folder: str) -> None:
    sys.exit(worker.main(folder))


if __name__ == "__main__":
    own = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever an import prints must not get between the answers
    main(sys.stdin.buffer, own)
