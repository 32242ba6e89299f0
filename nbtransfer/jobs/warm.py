"""A worker that has loaded its frameworks before there is anything to do: loading them takes seconds.

There is at most one for each process that starts runs. It is started when a run is likely to come, ends when this process
does or after ten minutes without a run, and is not used when the environment has changed since. `NBTRANSFER_WARM=0` does
without.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
from dataclasses import dataclass

from nbtransfer.jobs.environment import worker_environment
from nbtransfer.store.paths import RunPaths

PATIENCE = 2.0


@dataclass
class _Warm:
    """A runner that waits for the folder of a run on its standard input, its worker beside it."""

    runner: subprocess.Popen[bytes]
    environment: dict[str, str]

    @property
    def fits(self) -> bool:
        """Whether it is there, and as one started now would be."""
        assert self.runner.stdout is not None
        ended, _, _ = select.select([self.runner.stdout], [], [], 0)  # it says nothing before it is asked
        return not ended and self.environment == worker_environment()

    def hand_over(self, paths: RunPaths) -> bool:
        """Give it a run; False when it does not take it."""
        assert self.runner.stdin is not None
        assert self.runner.stdout is not None
        try:
            self.runner.stdin.write(os.fsencode(paths.root) + b"\n")
            self.runner.stdin.flush()
            answered, _, _ = select.select([self.runner.stdout], [], [], PATIENCE)
            return bool(answered) and self.runner.stdout.readline() == b"taken\n"
        except OSError:
            return False

    def close(self) -> None:
        """Let it go: without a run it ends."""
        for stream in (self.runner.stdin, self.runner.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]


_kept: _Warm | None = None
_changing = threading.Lock()


def keep() -> None:
    """Have a worker ready for the next run. Returns at once; when it cannot be had, the next run just starts cold."""
    global _kept  # noqa: PLW0603 - one for the process
    if os.environ.get("NBTRANSFER_WARM") == "0":
        return
    with _changing:
        if _kept is not None and _kept.fits:
            return
        if _kept is not None:
            _kept.close()
        with contextlib.suppress(OSError):
            _kept = _started()


def take(paths: RunPaths) -> bool:
    """Let the worker that is ready carry out a run. False when there is none: start one then.

    Should both come about, the lock of the run decides, and one of them finds nothing to do.
    """
    global _kept
    with _changing:
        warm, _kept = _kept, None
    if warm is None:
        return False
    taken = warm.fits and warm.hand_over(paths)
    warm.close()
    return taken


def _started() -> _Warm:
    environment = worker_environment()
    runner = subprocess.Popen(
        [sys.executable, "-P", "-m", "nbtransfer.jobs.runner"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    # It forks itself off at once and leaves its pipes to the fork; whoever is left is nobody's child.
    threading.Thread(target=runner.wait, daemon=True).start()
    return _Warm(runner, environment)
