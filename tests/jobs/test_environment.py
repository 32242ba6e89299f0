"""What a worker finds in its environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbtransfer.jobs.environment import SPIN_SHORTLY, worker_environment


@pytest.mark.parametrize(("name", "value"), [("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "7")])
def test_threads_wait_as_the_user_says(monkeypatch, name, value):
    for other in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(other, raising=False)
    assert SPIN_SHORTLY.items() <= worker_environment().items()
    monkeypatch.setenv(name, value)
    found = worker_environment()
    assert {other: found[other] for other in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT") if other in found} == {name: value}


def test_the_home_folder_is_the_notebooks(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NBTRANSFER_HOME", "mine")
    assert Path(worker_environment()["NBTRANSFER_HOME"]) == tmp_path / "mine"


def test_what_belongs_to_a_kernel_stays_there(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    found = worker_environment()
    assert found["MPLBACKEND"] == "Agg"
    assert "JPY_PARENT_PID" not in found
