"""Start a run: write its folder, then let go of a process that outlives this one."""

from __future__ import annotations

import os
import subprocess
import sys

from nbtransfer.core.recipe import Recipe
from nbtransfer.errors import RunError
from nbtransfer.jobs.checks import preflight
from nbtransfer.jobs.run import Run
from nbtransfer.store import runs
from nbtransfer.store.paths import RunPaths

# Set by a notebook kernel for its own children; a worker must not act on them.
_KERNEL_VARIABLES = ("MPLBACKEND", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM", "PAGER", "GIT_PAGER", "PYTHONPATH")

# Threads that wait for each other by spinning starve whoever else computes on the same cores: the notebook, or a second
# run. Measured by benchmarks/sharing.py.
_SHARE_THE_CORES = {"OMP_WAIT_POLICY": "PASSIVE"}


def start(recipe: Recipe) -> Run:
    """Start a run in the background and return at once.

    The run goes on when the notebook is closed or its kernel restarts. Raises an InputError when the recipe cannot work.
    """
    recipe = preflight(recipe)
    paths = runs.create(recipe)
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


def worker_environment() -> dict[str, str]:
    """This process' environment without what belongs to a kernel, and with the same modules to import."""
    kept = {k: v for k, v in os.environ.items() if k not in _KERNEL_VARIABLES and not k.startswith("JPY_")}
    # Absolute: the worker runs in another folder.
    modules = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)  # noqa: PTH100
    own = {"PYTHONPATH": modules, "PYTHONFAULTHANDLER": "1", "PYTHONUNBUFFERED": "1", "MPLBACKEND": "Agg"}
    return {**_SHARE_THE_CORES, **kept, **own}
