"""Workers of tests: most are forks of one process that has loaded the frameworks; none outlives its test."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nbtransfer.jobs import warm
from nbtransfer.jobs.run import Run
from nbtransfer.store.lock import is_held
from nbtransfer.store.paths import RunPaths

LOADING_SECONDS = 300


def reap(home: Path) -> None:
    """End workers that a failed test left behind: they outlive everything else, on purpose."""
    for paths in map(RunPaths, (home / "runs").glob("*-*-*")):
        state = Run(paths).state
        if state.pid is not None and is_held(paths.lock):
            os.kill(state.pid, signal.SIGKILL)


@contextmanager
def frameworks_loaded_once() -> Iterator[None]:
    """Runs that are started or resumed in this process fork their workers, whatever the home folder of each test is.

    The first one waits until the frameworks are loaded. A test about cold workers sets NBTRANSFER_WARM to 0.
    """
    take = warm.take

    @functools.wraps(take)
    def loaded(paths: RunPaths) -> bool:
        if warm._kept is None or warm._kept.process.poll() is not None:
            warm.keep()
        if not warm.ready():
            warm.ready(LOADING_SECONDS)
            os.utime(paths.spec)  # as if it had just been made: after a while without a worker it would count as lost
        return take(paths)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warm, "take", loaded)
        yield
    warm.close()
