"""`python -m nbtransfer.jobs.worker FOLDER`: hold the lock, carry out the recipe, write what happens.

The first event is written before torch is loaded, so that readers see within a fraction of a second that the run has a
worker.
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import os
import platform
import signal
import socket
import sys
import time
import traceback
from pathlib import Path

from nbtransfer.core import events as ev
from nbtransfer.core.messages import Message, message, message_of
from nbtransfer.errors import NbTransferError
from nbtransfer.jobs.child import lower_priority
from nbtransfer.jobs.worker_io import WorkerIO
from nbtransfer.store import atomic, runs
from nbtransfer.store.lock import RunLock
from nbtransfer.store.paths import RunPaths

ANOTHER_WORKER_IS_RUNNING = os.EX_TEMPFAIL


def main(folder: str) -> int:
    """Carry out a run; returns the exit status."""
    paths = RunPaths(Path(folder))
    faulthandler.register(signal.SIGUSR1, all_threads=True)  # the runner asks for this when nothing happens for long
    lock = RunLock(paths.lock)
    if not lock.acquire():
        return ANOTHER_WORKER_IS_RUNNING
    io = WorkerIO(paths)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, io.on_signal)
    io.write(ev.Starting(os.getpid(), socket.gethostname(), platform.python_version()))
    lower_priority()
    try:
        carry_out(paths, io)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the journal must say so
        traceback.print_exc()
        with contextlib.suppress(OSError):  # the folder may be gone; readers see that the run is lost
            io.write(ev.Failed(error_message(error)))
        return os.EX_SOFTWARE
    finally:
        # Unloading a framework takes a while; nothing is written any more.
        lock.release()
    return os.EX_OK


def carry_out(paths: RunPaths, io: WorkerIO) -> None:
    """Write every event of the run into its journal, and into the log all that a person might look for there."""
    from nbtransfer.engine.training import carry_out as events  # loads torch: seconds

    for event in events(runs.read_recipe(paths), paths, io, io.past, runs.read_repeat(paths)):
        io.write(event)
        if not isinstance(event, (ev.Step, ev.Computing)):
            print(time.strftime("%H:%M:%S"), event)


def error_message(error: BaseException) -> Message:  # noqa: PLR0911 - one case an error
    """One sentence for the user; the traceback goes to the log."""
    kind, text = type(error).__name__, str(error)
    if isinstance(error, NbTransferError):
        # A helper process of torch sends an error as text, behind its traceback.
        last = text.splitlines()[-1].partition(": ")[2] if text.startswith("Caught ") else ""
        return message("error", kind=kind, text=last) if last else message_of(error)
    if _lacks_memory(error):
        return message("fail.memory", error=text)
    if isinstance(error, OSError) and atomic.no_room(error):
        return message("fail.disk")
    if isinstance(error, ImportError):
        return message("fail.import", error=text)
    if type(error).__module__.startswith(("torch._inductor", "torch._dynamo")):
        return message("fail.compile")
    if isinstance(error, KeyboardInterrupt):
        return message("fail.interrupted")
    return message("unexpected", kind=kind, text=text)


def _lacks_memory(error: BaseException) -> bool:
    """Torch has no type of its own for the memory of the host."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    told = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return named or told or (isinstance(error, OSError) and error.errno == errno.ENOMEM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
