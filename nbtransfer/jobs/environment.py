"""The environment of a worker."""

from __future__ import annotations

import os

from nbtransfer.store.home import home
from nbtransfer.store.search_path import python_path

# Set by a notebook kernel, or by pytest, for itself and its own children; a worker must not act on them.
_KERNEL_VARIABLES = (
    "MPLBACKEND", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM", "PAGER", "GIT_PAGER", "PYTHONPATH",
    "PYTEST_CURRENT_TEST",
)  # fmt: skip

# Threads that spin while they wait starve everything else on the same cores: the notebook, or a second run. Threads that
# sleep at once lose a tenth of their speed. These spin for some microseconds, then sleep: see benchmarks/sharing.py.
SPIN_SHORTLY = {"GOMP_SPINCOUNT": "10000"}

# By default glibc returns the memory of every large tensor to the system when it is freed, and asks for it again soon after:
# the system clears it page by page, for up to a quarter of a step's time. Kept memory is reused; blocks above 256 MiB are
# returned, because the gaps they leave fit few tensors. What it saves and costs: benchmarks/memory.py.
KEEP_MEMORY = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(2**28), "MALLOC_TRIM_THRESHOLD_": str(2**40)}

_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def worker_environment() -> dict[str, str]:
    """This process' environment without what belongs to a kernel, and with the same modules to import."""
    kept = {k: v for k, v in os.environ.items() if k not in _KERNEL_VARIABLES and not k.startswith("JPY_")}
    own = {"PYTHONPATH": python_path(), "PYTHONFAULTHANDLER": "1", "PYTHONUNBUFFERED": "1", "MPLBACKEND": "Agg"}
    waiting = {} if any(name in kept for name in _WAITING) else SPIN_SHORTLY
    return {**KEEP_MEMORY, **waiting, **kept, **own, "NBTRANSFER_HOME": str(home())}
