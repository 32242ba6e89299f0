"""A worker that is ready before there is a run, seen from outside."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

import nbtransfer as nt
from nbtransfer.commands import tree as commands
from nbtransfer.jobs import warm
from nbtransfer.jobs.draft import Draft
from nbtransfer.ui.progress import watch
from tests.jobs.test_runs import PATIENCE, recipe


@pytest.fixture(autouse=True)
def kept(monkeypatch):
    """Warm workers are allowed here, and gone afterwards."""
    monkeypatch.setenv("NBTRANSFER_WARM", "1")
    yield
    if warm._kept is not None:
        warm._kept.close()
        warm._kept = None


def waiting():
    """Runners and workers of this test's home that wait for a run: the kinds and their process numbers."""
    mark = f"NBTRANSFER_HOME={os.environ['NBTRANSFER_HOME']}".encode()
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")[:-1]
            own = mark in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if own and words[-1:] in ([b"nbtransfer.jobs.worker"], [b"nbtransfer.jobs.runner"]):
            found[words[-1].decode().rpartition(".")[2]] = int(entry.name)
    return found


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ready():
    """Have one ready, and see it."""
    warm.keep()
    wait_until(lambda: waiting().keys() == {"runner", "worker"})
    return waiting()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at processes in /proc")
class TestWarm:
    def test_a_run_is_carried_out_by_the_worker_that_waits(self, images):
        worker = ready()["worker"]
        run = nt.start(recipe(images, epochs=1))
        state = run.wait(PATIENCE)
        assert (state.status, state.pid) == ("finished", worker)
        assert "EpochEnded" in run.log()
        wait_until((run.paths.attempts / "1.json").exists)
        wait_until(lambda: waiting() == {})

    def test_only_one_waits(self):
        first = ready()
        warm.keep()
        time.sleep(0.5)
        assert waiting() == first

    def test_it_ends_when_it_is_let_go(self):
        ready()
        warm._kept.close()
        wait_until(lambda: waiting() == {})

    def test_another_environment_gets_another_worker(self, images, monkeypatch):
        warm.keep()
        first = warm._kept
        monkeypatch.setenv("SOMETHING", "new")
        run = nt.start(recipe(images, epochs=1))
        assert run.wait(PATIENCE).status == "finished"
        assert first.runner.stdin.closed
        warm.keep()
        assert warm._kept.fits

    @pytest.mark.parametrize("victims", [["worker"], ["runner", "worker"]])
    def test_one_that_died_is_no_harm(self, images, victims):
        for kind, process in ready().items():
            if kind in victims:
                os.kill(process, signal.SIGKILL)
        assert nt.start(recipe(images, epochs=1)).wait(PATIENCE).status == "finished"

    def test_one_that_died_is_replaced(self):
        first = ready()
        os.kill(first["runner"], signal.SIGKILL)
        os.kill(first["worker"], signal.SIGKILL)
        wait_until(lambda: not warm._kept.fits)
        assert ready() != first

    def test_choosing_makes_one_ready(self, images):
        context = commands.CommandContext("%transfer", "notebook", Draft(), watch, print)
        commands.execute(["data", str(images)], context)
        assert warm._kept is not None

    def test_or_not(self, monkeypatch):
        monkeypatch.setenv("NBTRANSFER_WARM", "0")
        warm.keep()
        assert warm._kept is None
