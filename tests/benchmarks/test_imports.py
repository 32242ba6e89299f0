"""Importing a benchmark changes nothing: tests and other benchmarks import parts of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import importlib, os, pkgutil, sys, threading
import benchmarks, torch
before = dict(os.environ), torch.get_num_threads(), torch.get_float32_matmul_precision(), threading.active_count()
names = [m.name for m in pkgutil.walk_packages(benchmarks.__path__, "benchmarks.") if not m.name.endswith("__main__")]
for name in names:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        assert name.startswith("benchmarks.peers."), (name, error)
assert (dict(os.environ), torch.get_num_threads(), torch.get_float32_matmul_precision(), threading.active_count()) == before
print(len(names))
"""


def test_importing_every_benchmark_changes_neither_environment_nor_threads():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
