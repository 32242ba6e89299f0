"""The environment of a worker."""

from __future__ import annotations

import os
import sys

from nbtransfer.store.home import home

# Set by a notebook kernel for its own children; a worker must not act on them.
_KERNEL_VARIABLES = ("MPLBACKEND", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM", "PAGER", "GIT_PAGER", "PYTHONPATH")

# Threads that wait for each other by spinning starve whoever else computes on the same cores: the notebook, or a second
# run. Measured by benchmarks/sharing.py.
_SHARE_THE_CORES = {"OMP_WAIT_POLICY": "PASSIVE"}


def worker_environment() -> dict[str, str]:
    """This process' environment without what belongs to a kernel, and with the same modules to import."""
    kept = {k: v for k, v in os.environ.items() if k not in _KERNEL_VARIABLES and not k.startswith("JPY_")}
    # Absolute paths: the worker runs in another folder.
    modules = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)  # noqa: PTH100
    own = {"PYTHONPATH": modules, "PYTHONFAULTHANDLER": "1", "PYTHONUNBUFFERED": "1", "MPLBACKEND": "Agg"}
    return {**_SHARE_THE_CORES, **kept, **own, "NBTRANSFER_HOME": str(home())}
