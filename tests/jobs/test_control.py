"""Runs in real workers: paused, changed, killed and resumed, by one notebook or by several."""

from __future__ import annotations

import os
import shutil
import signal
import threading

import psutil
import pytest

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.errors import InputError, RunError
from nbtransfer.jobs.launcher import repeat
from nbtransfer.store import inbox
from nbtransfer.store.journal import JournalReader
from nbtransfer.store.lock import is_held
from tests.support.runs import PATIENCE, bits, elsewhere, eventually, long, released, until


def test_killed_and_resumed_from_another_process(images):
    made = long(images, epochs=10)
    run = nt.start(made)
    for epochs in (2, 5):
        state = until(run, lambda s, epochs=epochs: len(s.history) >= epochs)
        os.kill(state.pid, signal.SIGKILL)
        assert run.wait(5).status == "lost"
        said = elsewhere("import sys, nbtransfer as nt; print(nt.attach(sys.argv[1]).resume().status)", run.id)
        assert said.strip() in ("starting", "running")
    state = run.wait(PATIENCE)
    assert state.status == "finished", run.log()
    assert state.attempt == 3
    assert [row.epoch for row in state.history] == list(range(1, 11))
    other = nt.start(made)
    assert other.wait(PATIENCE).status == "finished"
    assert bits(run) == bits(other)
    with pytest.raises(RunError, match=r"is finished, so there is nothing to resume; run\.continue_"):
        run.resume()


def test_pause_and_resume(images):
    run = nt.start(long(images, epochs=500))
    until(run, lambda s: len(s.history) >= 1)
    state = run.pause()
    assert state.status == "paused"
    assert state.message.startswith("paused by ")
    seen = state.seq
    assert run.checkpoint().seq > seen
    since = [record.event for record in JournalReader(run.paths.events).read() if record.seq > seen]
    assert {type(event) for event in since} == {ev.CheckpointSaved, ev.CommandDone}
    assert run.resume().status == "running"
    until(run, lambda s: s.seq > seen + 5)
    assert run.stop().status in ("stopping", "stopped")
    state = run.wait(PATIENCE)
    assert state.status == "stopped"
    with pytest.raises(RunError, match="is stopped, so there is nothing to pause; resume it first"):
        run.pause()


def test_a_pause_that_was_not_taken_yet_can_be_taken_back(images):
    run = nt.start(long(images, epochs=2))
    until(run, lambda s: s.status == "starting")
    inbox.send(run.paths.control, "pause")
    run.resume()
    state = run.wait(PATIENCE)
    assert state.status == "finished"
    assert [command.op for command in state.commands] == ["pause", "resume"]


def test_a_long_pause_gives_the_memory_back(images, monkeypatch):
    monkeypatch.setenv("NBTRANSFER_PAUSE_SECONDS", "0.2")
    run = nt.start(long(images, epochs=500))
    until(run, lambda s: len(s.history) >= 1)
    run.pause()
    released(run)
    assert run.state.status == "paused"
    assert "give its memory back" in run.state.message
    with pytest.raises(RunError, match="is paused, so there is nothing to change"):
        run.set_lr(0.1)
    done = len(run.history())
    run.resume()
    until(run, lambda s: len(s.history) > done)
    run.pause()
    released(run)
    run.stop()
    assert run.wait(PATIENCE).status == "stopped"
    assert run.model().classes == ("blue", "green", "red")


def test_changes_from_two_notebooks(images):
    """In order, each answered once, none made without knowing of the other's; both see who did what."""
    run = nt.start(long(images, epochs=500))
    until(run, lambda s: len(s.history) >= 1)
    assert run.freeze("stem", "stage2").plan.summary.endswith("learn: stage3, stage4, conv5")
    seen = run.state.seq
    elsewhere("import sys, nbtransfer as nt; nt.attach(sys.argv[1]).set_lr(0.005)", run.id)
    inbox.send(run.paths.control, "thaw", seen=seen, layers=["stage2"])
    state = until(run, lambda s: len(s.commands) >= 3)
    assert [(c.op, c.accepted) for c in state.commands] == [("freeze", True), ("set_lr", True), ("thaw", False)]
    assert "has changed the run meanwhile (set_lr {'lr': 0.005})" in state.commands[2].message
    assert state.commands[0].sender != state.commands[1].sender
    run.thaw("stage2", lr=0.5)
    with pytest.raises(RunError, match="refuses to set_epochs: 1 epochs are fewer than have begun"):
        run.set_epochs(1)
    with pytest.raises(InputError, match="no layer of shufflenet_v2_x0_5 is called 'layer9'"):
        run.freeze("layer9")
    with pytest.raises(InputError, match="use a number above 0"):
        run.set_lr(0)
    elsewhere("import sys, nbtransfer as nt; nt.attach(sys.argv[1]).freeze('conv5')", run.id)
    with pytest.raises(RunError, match=r"has changed the run meanwhile \(freeze .*'conv5'.*look at it again"):
        run.thaw("stage2")  # asked without having looked
    assert run.thaw("conv5", "stage2").changes[-1].op == "thaw"  # the answer has shown it
    state = run.set_epochs(len(run.history()) + 3)
    assert run.wait(PATIENCE).status == "finished"
    assert set(run.receipt()) >= {"stem.conv1.0"}
    again = repeat(run)
    assert again.wait(PATIENCE).status == "finished", again.log()
    assert bits(again) == bits(run)
    assert again.plan == run.plan


def test_what_was_acknowledged_survives_a_kill(images):
    run = nt.start(long(images, epochs=12, checkpoint_every=10**6))
    until(run, lambda s: len(s.history) >= 1)
    state = run.freeze("stem")
    os.kill(state.pid, signal.SIGKILL)
    assert run.wait(5).status == "lost"
    run.resume()
    state = until(run, lambda s: s.status == "running")
    assert [change.op for change in state.changes] == ["freeze"]
    assert run.wait(PATIENCE).status == "finished"
    assert run.receipt()["stem.conv1.0"].startswith("unchanged during ft from step")


def test_two_that_resume_at_once(images):
    run = nt.start(long(images, epochs=500))
    state = until(run, lambda s: len(s.history) >= 1)
    os.kill(state.pid, signal.SIGKILL)
    run.wait(5)
    code = "import sys, nbtransfer as nt; nt.attach(sys.argv[1]).resume()"
    others = [threading.Thread(target=elsewhere, args=(code, run.id)) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    state = until(run, lambda s: s.status == "running" and s.attempt == 2)
    done = len(state.history)
    until(run, lambda s: len(s.history) > done + 2)
    run.stop()
    assert run.wait(PATIENCE).attempt == 2


def test_one_that_hangs_is_noticed_and_can_be_killed(images, monkeypatch):
    monkeypatch.setenv("NBTRANSFER_STALL_SECONDS", "1.5")
    run = nt.start(long(images, epochs=500))
    state = until(run, lambda s: len(s.history) >= 1)
    os.kill(state.pid, signal.SIGSTOP)
    state = until(run, lambda s: s.status == "stalled")
    assert "no progress for" in state.message
    os.kill(state.pid, signal.SIGCONT)
    until(run, lambda s: s.status == "running")
    assert "most recent call first" in run.log(500)  # the stacks of its threads
    os.kill(state.pid, signal.SIGSTOP)
    until(run, lambda s: s.status == "stalled")
    run.kill()
    state = until(run, lambda s: s.status == "lost" and "on request" in s.message)
    run.resume()
    until(run, lambda s: s.status == "running" and s.attempt == 2)
    run.stop()
    assert run.wait(PATIENCE).status == "stopped"


@pytest.mark.parametrize("warm", ["0", "1"])
def test_killed_before_a_worker_has_taken_it(images, monkeypatch, warm):
    monkeypatch.setenv("NBTRANSFER_WARM", warm)
    run = nt.start(long(images, epochs=500))
    run.kill()
    assert not run.paths.kill.exists()
    assert not is_held(run.paths.lock)
    state = run.wait(PATIENCE)
    assert (state.status, state.history) == ("lost", ())
    assert "killed on request" in state.message
    run.kill()  # there is nothing left to kill
    assert not run.paths.kill.exists()
    run.resume()
    until(run, lambda s: s.status == "running")
    run.stop()
    assert run.wait(PATIENCE).status == "stopped"


def test_stopped_before_a_worker_has_taken_it(images):
    run = nt.start(long(images, epochs=500))
    run.stop()
    state = run.wait(PATIENCE)
    assert (state.status, state.step) == ("stopped", 0)


def test_a_folder_that_is_removed_while_it_runs(images):
    run = nt.start(long(images, epochs=500))
    state = until(run, lambda s: len(s.history) >= 1)
    shutil.rmtree(run.paths.root, ignore_errors=True)
    eventually(lambda: not psutil.pid_exists(state.pid))
    with pytest.raises(RunError, match="is gone; its folder was removed"):
        _ = run.state
    assert nt.runs() == ()
