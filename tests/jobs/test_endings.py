"""How a worker can come to its end, and what is said then. Real processes, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.jobs.environment import worker_environment
from nbtransfer.jobs.run import Run
from nbtransfer.store import runs
from nbtransfer.store.journal import JournalReader, JournalWriter
from tests.support.runs import PATIENCE, eventually, recipe, until


def test_polite_signals_keep_everything_and_it_can_go_on(images):
    """A machine that is taken away, a terminal that is closed, an interrupt."""
    run = nt.start(recipe(images, epochs=500, checkpoint_every=10**6))
    for attempt, number in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGHUP), 1):
        state = until(run, lambda s, attempt=attempt: s.attempt == attempt and s.progress and len(s.history) >= attempt)
        os.kill(state.pid, number)
        state = run.wait(PATIENCE)
        assert state.status == "stopped"
        assert state.message.startswith("asked to end by a signal")
        assert run.model().classes == ("blue", "green", "red")
        if number != signal.SIGHUP:
            done = run.resume()
            assert done.attempt == attempt + 1
            resumed = until(run, lambda s, attempt=attempt: s.attempt > attempt and s.status == "running").resumed
            assert resumed.step >= state.history[-1].step
    assert [row.epoch for row in run.history()] == list(range(1, len(run.history()) + 1))


def test_crashes_in_native_code_are_told(images):
    run = nt.start(recipe(images, epochs=500))
    for number, name, words in (
        (signal.SIGSEGV, "SIGSEGV", "Segmentation fault"),
        (signal.SIGABRT, "SIGABRT", "Fatal Python error: Aborted"),
    ):
        state = until(run, lambda s: s.status == "running" and s.progress)
        os.kill(state.pid, number)
        assert name in run.wait(PATIENCE).message
        assert words in run.log(500)
        assert run.state.attempt == state.attempt  # nothing is tried again by itself
        if number != signal.SIGABRT:
            run.resume()


LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
import nbtransfer.engine.training
from nbtransfer.jobs.worker import main
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 300 * 2**20,) * 2)
sys.exit(main(sys.argv[1]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much address space is taken")
def test_too_little_memory_is_said_with_what_to_do(images):
    paths = runs.create(recipe(images, batch_size=36, image_size=640))
    command = [sys.executable, "-c", LITTLE_MEMORY, str(paths.root)]
    worker = subprocess.run(command, env=worker_environment(), capture_output=True, timeout=PATIENCE, check=False)
    assert worker.returncode == os.EX_SOFTWARE
    state = Run(paths).state
    assert state.status == "failed"
    assert state.message.startswith("out of memory (")
    assert state.message.endswith("use a smaller batch_size or image_size, or freeze more layers")


def zombie():
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    return child


def stranger():
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


@pytest.mark.parametrize("make", [zombie, stranger])
def test_a_process_number_proves_nothing(images, make):
    """That of a worker may be a zombie's, or somebody else's since the machine was started again."""
    paths = runs.create(recipe(images))
    other = make()
    journal = JournalWriter(paths.events, 1)
    journal.append(ev.Starting(other.pid, "another boot", "3"))
    journal.close()
    os.kill(other.pid, 0)  # the number is in use
    run = Run(paths)
    assert run.state.status == "lost"
    run.kill()
    assert not paths.kill.exists()
    assert (other.poll() is None) == (make is stranger)
    other.kill()
    other.wait()


def test_of_five_workers_on_one_run_one_wins(images):
    paths = runs.create(recipe(images, epochs=500))
    command = [sys.executable, "-m", "nbtransfer.jobs.worker", str(paths.root)]
    output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    workers = [subprocess.Popen(command, env=worker_environment(), **output) for _ in range(5)]
    run = Run(paths)
    eventually(lambda: sum(worker.poll() is None for worker in workers) == 1)
    (winner,) = (worker for worker in workers if worker.poll() is None)
    assert {worker.returncode for worker in workers if worker is not winner} == {os.EX_TEMPFAIL}
    assert until(run, lambda s: s.status == "running").pid == winner.pid
    run.stop()
    assert run.wait(PATIENCE).status == "stopped"
    assert winner.wait(PATIENCE) == os.EX_OK
    assert [r.event.pid for r in JournalReader(paths.events).read() if isinstance(r.event, ev.Starting)] == [winner.pid]
