"""A process that has loaded the frameworks before there is a run: loading them takes seconds, forking it milliseconds.

There is at most one for each process that starts runs; what it does is in `jobs.fork_server`. It is started when a run is
likely to come, carries out any number of them, and ends when this process does or after ten minutes without a run. It is not
used when what it began with has changed since. `NBTRANSFER_WARM=0` does without.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from nbtransfer.jobs.child import wait_for_input
from nbtransfer.jobs.environment import worker_environment
from nbtransfer.store.paths import RunPaths

PATIENCE = 5.0

# On macOS, frameworks of the system start threads when they are loaded; a fork of such a process may crash.
FORKING_IS_SAFE = sys.platform == "linux"

# Read when they are needed, not when a process or a library starts: a fork takes those of its own run.
_READ_LATE = ("NBTRANSFER_", "XDG_STATE_HOME")

# Set by torch and by scikit-learn wherever they are loaded: that the notebook has done so is no other environment.
_SET_BY_LIBRARIES = ("TORCHINDUCTOR_CACHE_DIR", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK")


@dataclass
class _ForkServer:
    """The process that is kept, as its client sees it."""

    process: subprocess.Popen[bytes]
    environment: dict[str, str]
    loaded: bool = False

    @property
    def fits(self) -> bool:
        """Whether it is there, and as one started now would be."""
        return self.process.poll() is None and _read_early(self.environment) == _read_early(worker_environment())

    def ready(self, timeout: float) -> bool:
        """Whether it has loaded the frameworks; waits that long for it."""
        self.loaded = self.loaded or self._reads(b"ready\n", timeout)
        return self.loaded

    def hand_over(self, paths: RunPaths) -> bool:
        """Give it a run; False when it does not take it."""
        assert self.process.stdin is not None
        request = {"folder": str(paths.root), "environment": worker_environment()}
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            return False
        return self._reads(b"ack\n", PATIENCE)

    def _reads(self, word: bytes, timeout: float) -> bool:
        assert self.process.stdout is not None
        return wait_for_input(self.process.stdout, timeout) and self.process.stdout.readline() == word

    def close(self) -> None:
        """End it. Its runs go on: they are processes of their own."""
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        self.process.wait()


_kept: _ForkServer | None = None
_changing = threading.Lock()


def keep() -> None:
    """Be ready for the next run. Returns at once; where that cannot be, the next run just starts cold."""
    global _kept  # noqa: PLW0603 - one for the process
    if not FORKING_IS_SAFE or os.environ.get("NBTRANSFER_WARM") == "0":
        return
    with _changing:
        if _kept is not None and _kept.fits:
            return
        _close()
        with contextlib.suppress(OSError):
            _kept = _start()


def ready(timeout: float = 0.0) -> bool:
    """Whether a run that starts now would start warm; waits up to `timeout` seconds for it."""
    with _changing:
        return _usable() and _kept is not None and _kept.ready(timeout)


def take(paths: RunPaths) -> bool:
    """Let a fork of the process that is kept carry out a run. False when there is none: start a cold worker then.

    Should both come about, the lock of the run decides, and one of them finds nothing to do.
    """
    with _changing:
        if not _usable() or _kept is None:
            return False
        # One that is still loading would only load beside the cold worker.
        accepted = _kept.ready(0) and _kept.hand_over(paths)
        if not accepted:
            _close()
        return accepted


def close() -> None:
    """Do without from now on."""
    with _changing:
        _close()


def _usable() -> bool:
    return _kept is not None and os.environ.get("NBTRANSFER_WARM") != "0" and _kept.fits


def _close() -> None:
    global _kept  # noqa: PLW0603 - one for the process
    if _kept is not None:
        _kept.close()
    _kept = None


def _start() -> _ForkServer:
    environment = worker_environment()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "nbtransfer.jobs.fork_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,  # a kernel's interrupt must not reach it
    )
    return _ForkServer(process, environment)


def _read_early(environment: Mapping[str, str]) -> dict[str, str]:
    """What acts when a process starts or a library is loaded: it cannot be changed later."""
    return {name: value for name, value in environment.items() if not name.startswith((*_READ_LATE, *_SET_BY_LIBRARIES))}
