"""Workers that are forked from a process with the frameworks loaded, seen from outside."""

from __future__ import annotations

import io
import os
import signal

import psutil
import pytest

import nbtransfer as nt
from nbtransfer.commands import tree as commands
from nbtransfer.jobs import fork_server, warm
from nbtransfer.jobs.draft import Draft
from nbtransfer.store import runs
from nbtransfer.ui.progress import watch
from tests.support.processes import LOADING_SECONDS
from tests.support.runs import PATIENCE, bits, elsewhere, eventually, long, recipe, until

pytestmark = pytest.mark.skipif(not warm.FORKING_IS_SAFE, reason="workers start cold where forking is not safe")

take = getattr(warm.take, "__wrapped__", warm.take)  # without the patience that tests have


@pytest.fixture
def server():
    """The process that all tests share, loaded."""
    warm.keep()
    assert warm.ready(LOADING_SECONDS)
    return warm._kept


@pytest.fixture
def own(monkeypatch):
    """One may be kept for this test alone, and is gone afterwards."""
    monkeypatch.setattr(warm, "_kept", None)
    monkeypatch.setattr(warm, "take", take)
    yield
    warm.close()


class TestForked:
    def test_its_worker_has_a_runner_of_its_own_and_is_detached(self, images, server):
        run = nt.start(recipe(images, epochs=500))
        state = until(run, lambda state: state.history)
        worker = psutil.Process(state.pid)
        runner = worker.parent()
        assert worker.cmdline()[-1] == "nbtransfer.jobs.fork_server"
        assert runner.ppid() not in (os.getpid(), server.process.pid)
        assert len({os.getsid(pid) for pid in (os.getpid(), server.process.pid, state.pid)}) == 3
        assert os.getsid(runner.pid) == os.getsid(state.pid)
        assert worker.cwd() == str(run.paths.root)
        run.stop()
        assert run.wait(PATIENCE).status == "stopped"
        assert "EpochEnded" in run.log()
        eventually((run.paths.attempts / "1.json").exists)
        assert server.fits

    def test_it_computes_the_same_bits_as_a_cold_one(self, images, server, monkeypatch):
        made = long(images, epochs=3)
        forked = nt.start(made)
        assert forked.wait(PATIENCE).status == "finished"
        monkeypatch.setenv("NBTRANSFER_WARM", "0")
        cold = nt.start(made)
        assert psutil.Process(until(cold, lambda state: state.pid).pid).cmdline()[-2] == "nbtransfer.jobs.worker"
        assert cold.wait(PATIENCE).status == "finished"
        assert bits(forked) == bits(cold)

    def test_each_run_has_the_environment_of_its_start(self, images, server, monkeypatch, tmp_path):
        """Home folders among it, and what workers are told by it."""
        for place in ("one", "two"):
            monkeypatch.setenv("NBTRANSFER_HOME", str(tmp_path / place))
            monkeypatch.setenv("NBTRANSFER_PAUSE_SECONDS", "0.1")
            run = nt.start(recipe(images, strategy="lp", epochs=500, probe="sgd"))
            until(run, lambda state: state.history)
            assert len(nt.caches()) == 1
            run.pause()
            assert "give its memory back" in until(run, lambda state: state.waits and state.waits.left).message
            run.stop()
            assert run.wait(PATIENCE).status == "stopped"
        assert warm._kept is server

    def test_a_resumed_run_is_forked_too(self, images, server):
        run = nt.start(recipe(images, epochs=500))
        os.kill(until(run, lambda state: state.history).pid, signal.SIGKILL)
        assert "SIGKILL" in run.wait(PATIENCE).message
        assert psutil.Process(run.resume().pid).cmdline()[-1] == "nbtransfer.jobs.fork_server"
        run.stop()
        run.wait(PATIENCE)

    def test_it_goes_on_when_the_process_it_was_forked_from_is_killed(self, images, own):
        warm.keep()
        assert warm.ready(LOADING_SECONDS)
        run = nt.start(recipe(images, epochs=500))
        until(run, lambda state: state.history)
        os.killpg(warm._kept.process.pid, signal.SIGKILL)
        epochs = len(run.history())
        until(run, lambda state: len(state.history) > epochs)
        eventually(lambda: not warm._kept.fits)
        assert not take(runs.create(run.recipe))
        run.stop()
        assert run.wait(PATIENCE).status == "stopped"


class TestKeeping:
    def test_there_is_one(self, server):
        warm.keep()
        assert warm._kept is server

    def test_it_ends_with_whoever_keeps_it(self):
        code = "from nbtransfer.jobs import warm; warm.keep(); print(warm._kept.process.pid)"
        process = int(elsewhere(code))
        eventually(lambda: not psutil.pid_exists(process))

    def test_it_ends_without_a_run_for_long(self, monkeypatch):
        answers, (requests, nothing) = io.StringIO(), os.pipe()
        monkeypatch.setattr(fork_server, "lower_priority", lambda: None)
        monkeypatch.setattr(fork_server, "may_fork", lambda: True)
        monkeypatch.setattr(fork_server.gc, "freeze", lambda: None)
        with os.fdopen(requests, "rb") as stream:
            fork_server.main(stream, answers, idle=0.1)
        os.close(nothing)
        assert answers.getvalue() == "ready\n"

    def test_one_that_is_still_loading_is_not_waited_for(self, images, own):
        warm.keep()
        process = warm._kept.process
        assert not take(runs.create(recipe(images)))
        assert (warm._kept, process.returncode) == (None, -signal.SIGKILL)

    def test_another_environment_needs_another(self, images, own, monkeypatch):
        warm.keep()
        first = warm._kept
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        assert not take(runs.create(recipe(images)))
        warm.keep()
        assert warm._kept is not first
        assert first.process.returncode == -signal.SIGKILL
        assert warm._kept.fits

    def test_one_that_died_is_replaced(self, own):
        warm.keep()
        first = warm._kept.process
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        warm.keep()
        assert warm._kept.process is not first

    def test_nothing_is_forked_from_a_process_with_other_threads(self):
        code = (
            "import threading; from nbtransfer.jobs.fork_server import may_fork; print(may_fork());"
            "stop = threading.Event(); threading.Thread(target=stop.wait).start(); print(may_fork()); stop.set()"
        )
        assert elsewhere(code).split() == ["True", "False"]

    def test_choosing_makes_one_ready(self, images, own):
        context = commands.CommandContext("%transfer", "notebook", Draft(), watch, print)
        commands.execute(["data", str(images)], context)
        assert warm._kept is not None

    def test_or_not_where_it_is_not_wanted(self, own, monkeypatch):
        monkeypatch.setenv("NBTRANSFER_WARM", "0")
        warm.keep()
        assert warm._kept is None

    def test_or_where_forking_is_not_safe(self, own, monkeypatch):
        monkeypatch.setattr(warm, "FORKING_IS_SAFE", False)
        warm.keep()
        assert warm._kept is None
