"""Start the process that carries out a run, and let go of it."""

from __future__ import annotations

import subprocess
import sys

from nbtransfer.errors import RunError
from nbtransfer.jobs import warm
from nbtransfer.jobs.environment import worker_environment
from nbtransfer.store.paths import RunPaths


def launch(paths: RunPaths) -> None:
    """Start the runner of a run in a session of its own, where signals meant for this process do not reach it.

    Where the frameworks are loaded already it takes milliseconds until the run begins, else seconds.
    """
    if not warm.take(paths):
        _launch_cold(paths)


def _launch_cold(paths: RunPaths) -> None:
    command = [sys.executable, "-P", "-m", "nbtransfer.jobs.runner", str(paths.root)]
    try:
        with paths.log.open("ab") as log:
            # Returns as soon as the runner has detached itself by a fork; a detached process leaves no zombie here.
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=worker_environment(),
                cwd=paths.root,
                start_new_session=True,
                check=True,
            )
    except (OSError, subprocess.CalledProcessError) as error:
        raise RunError(
            f"the worker of run {paths.id} could not be started ({error}); its recipe is kept in {paths.root}"
        ) from error
