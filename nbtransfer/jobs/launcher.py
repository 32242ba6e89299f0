"""Start a run: write its folder, then let go of a process that outlives this one."""

from __future__ import annotations

import subprocess
import sys

from nbtransfer.core.recipe import Recipe
from nbtransfer.errors import RunError
from nbtransfer.jobs import warm
from nbtransfer.jobs.checks import preflight
from nbtransfer.jobs.environment import worker_environment
from nbtransfer.jobs.run import Run
from nbtransfer.store import runs
from nbtransfer.store.paths import RunPaths


def start(recipe: Recipe) -> Run:
    """Start a run in the background and return at once.

    The run goes on when the notebook is closed or its kernel restarts. Raises an InputError when the recipe cannot work.
    """
    recipe = preflight(recipe)
    paths = runs.create(recipe)
    if not warm.take(paths):
        launch(paths)
    return Run(paths)


def launch(paths: RunPaths) -> None:
    """Start the runner of a run in a session of its own, where signals meant for this process do not reach it."""
    command = [sys.executable, "-P", "-m", "nbtransfer.jobs.runner", str(paths.root)]
    try:
        with paths.log.open("ab") as log:
            # Returns as soon as the runner has forked itself off: it is nobody's child, so it leaves no zombie here.
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
