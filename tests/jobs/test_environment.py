"""What a worker finds in its environment."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from nbtransfer.jobs.environment import KEEP_MEMORY, SPIN_SHORTLY, worker_environment


@pytest.mark.parametrize(("name", "value"), [("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "7")])
def test_threads_wait_as_the_user_says(monkeypatch, name, value):
    for other in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(other, raising=False)
    assert SPIN_SHORTLY.items() <= worker_environment().items()
    monkeypatch.setenv(name, value)
    found = worker_environment()
    assert {other: found[other] for other in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT") if other in found} == {name: value}


def test_memory_is_kept_unless_the_user_says_otherwise(monkeypatch):
    for name in KEEP_MEMORY:
        monkeypatch.delenv(name, raising=False)
    assert KEEP_MEMORY.items() <= worker_environment().items()
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    assert worker_environment()["MALLOC_TRIM_THRESHOLD_"] == "131072"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator, which knows none of these names")
def test_a_worker_does_not_fault_in_the_same_memory_again_and_again(monkeypatch):
    """The names and values are understood by the allocator: a tensor's pages are there when the next one takes them."""
    for name in KEEP_MEMORY:
        monkeypatch.delenv(name, raising=False)
    code = (
        "import resource, torch\n"
        "faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(30): torch.ones(2**24)\n"  # glibc before 2.38 needs some to find a place where one was
        "before = faults()\n"
        "for _ in range(10): torch.ones(2**24)\n"
        "print(faults() - before)"
    )
    command = [sys.executable, "-c", code]
    kept, handed_back = (
        int(subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout)
        for env in (worker_environment(), {n: v for n, v in worker_environment().items() if n not in KEEP_MEMORY})
    )
    assert kept < handed_back / 5


def test_the_home_folder_is_the_notebooks(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NBTRANSFER_HOME", "mine")
    assert Path(worker_environment()["NBTRANSFER_HOME"]) == tmp_path / "mine"


def test_what_belongs_to_a_kernel_stays_there(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    found = worker_environment()
    assert found["MPLBACKEND"] == "Agg"
    assert {"JPY_PARENT_PID", "PYTEST_CURRENT_TEST"}.isdisjoint(found)
