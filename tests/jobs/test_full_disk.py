"""A real disk of a few megabytes that is filled to the last byte while a run is at work."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

import pytest

import nbtransfer as nt
from nbtransfer.engine.checkpoints import checkpoint
from nbtransfer.errors import RunError
from nbtransfer.store import checkpoints, runs
from tests.support.runs import PATIENCE, bits, long, until

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0, reason="only root may make a disk of its own, and tmpfs is of Linux"
)


@pytest.fixture
def disk(home):
    """The home folder on a disk of its own."""
    home.mkdir(parents=True, mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=0700", "tmpfs", str(home)], check=True)
    yield home
    subprocess.run(["umount", "--lazy", str(home)], check=True)


def fill(folder):
    """Take all the room there is, in one file however often it is called; returns that file."""
    path = folder / "somebody else's"
    with path.open("ab", buffering=0) as stream:
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while True:
                    stream.write(b"x" * size)
    return path


def test_a_run_waits_for_room_and_goes_on_to_the_same_bits(images, disk):
    made = long(images, epochs=12)
    run = nt.start(made)
    until(run, lambda s: len(s.history) >= 2)
    taken = fill(disk)
    state = until(run, lambda s: s.status == "paused")
    assert state.message == "the disk is full; free some space, and the run goes on by itself"
    for name in checkpoints.newest_first(run.paths.checkpoints):
        checkpoint.load(run.paths.checkpoints / name)  # whole, every one of them
    os.kill(state.pid, signal.SIGSTOP)  # its attempts to write take room and give it back
    fill(disk)
    with pytest.raises(RunError, match="free space or set NBTRANSFER_HOME"):
        runs.create(made)
    os.kill(state.pid, signal.SIGCONT)
    assert len(nt.runs()) == 1
    taken.unlink()
    state = run.wait(PATIENCE)
    assert state.status == "finished", run.log()
    assert state.attempt == 1
    other = nt.start(made)
    assert other.wait(PATIENCE).status == "finished"
    assert bits(run) == bits(other)


def test_killed_while_the_disk_is_full(images, disk):
    run = nt.start(long(images, epochs=12))
    until(run, lambda s: len(s.history) >= 2)
    taken = fill(disk)
    until(run, lambda s: s.status == "paused")
    os.kill(run.state.pid, 9)
    assert run.wait(PATIENCE).status == "lost"
    fill(disk)  # a write that fails gives back what it had taken
    with pytest.raises(RunError, match="free space"):
        run.resume()
    taken.unlink()
    run.resume()
    assert run.wait(PATIENCE).status == "finished"
    assert not any("put aside" in text for text in run.state.warnings)
