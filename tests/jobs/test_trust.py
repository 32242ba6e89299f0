"""What a run leaves open, gives away, or lets in."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pickle
import shutil
import socket
from pathlib import Path

import pytest

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.core.codec import dumps
from nbtransfer.errors import NbTransferError, RunError
from nbtransfer.store import runs
from nbtransfer.store.journal import JournalWriter
from nbtransfer.tasks.decode import UndecodableError
from nbtransfer.tasks.source import ImageSource
from nbtransfer.ui.kept_report import kept_html
from nbtransfer.ui.run_monitor import RunMonitor
from tests.support.runs import PATIENCE, recipe, until


def listening(pid):
    """The listening sockets of a process."""
    inodes = set()
    for name in ("tcp", "tcp6"):
        lines = Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        inodes |= {line.split()[9] for line in lines if line.split()[3] == "0A"}
    held = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed while we look
            target = str(entry.readlink())
            held |= {target[8:-1]} if target.startswith("socket:[") else set()
    return held & inodes


def test_no_port_is_opened(images):
    own = listening(os.getpid())
    with socket.create_server(("127.0.0.1", 0)):
        assert len(listening(os.getpid())) == len(own) + 1  # so it would be noticed
    run = nt.start(recipe(images, epochs=500, loader_workers=2))
    state = until(run, lambda s: len(s.history) >= 1)
    assert listening(state.pid) == set()
    assert listening(os.getpid()) == own
    run.stop()
    run.wait(PATIENCE)


def test_what_is_shown_or_handed_on_names_no_person_machine_or_place(images, tmp_path, monkeypatch):
    place = tmp_path / "home-of-ann"
    place.mkdir()
    pictures = images.rename(place / "pictures")
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("USER", "ann-the-user")
    monkeypatch.setenv("LOGNAME", "ann-the-user")
    monkeypatch.setenv("NBTRANSFER_HOME", str(place / "runs-of-ann"))
    monkeypatch.chdir(tmp_path)
    run = nt.start(recipe(pictures, epochs=3))
    until(run, lambda s: len(s.history) >= 1 or s.over)
    if not run.state.over:
        run.set_lr(1e-3)
    run.wait(PATIENCE)
    folder = run.export(tmp_path / "model")
    monitor = RunMonitor(run)
    shown = [run, run.state, run.recipe, run.task, run.history(), run.evaluate(), run.receipt(), nt.runs(), monitor]
    texts = [repr(thing) for thing in shown]
    texts += [thing._repr_html_() for thing in shown if hasattr(thing, "_repr_html_")]
    texts += [kept_html([run]), dumps(monitor.run), dumps(monitor.result)]
    texts += [path.read_bytes().decode("latin-1") for path in folder.iterdir()]
    monitor.close()
    for text in texts:
        for secret in ("home-of-ann", "ann-the-user", "runs-of-ann", f"@{socket.gethostname()}"):
            assert secret not in text


class Program:
    """Touches a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def touching(marker):
    return f"from pathlib import Path; Path({str(marker)!r}).touch()".encode()


class TestSomebodyElsesRun:
    """Its folder may hold anything."""

    @pytest.fixture
    def run(self, lp_ft):
        return lp_ft

    def test_a_copy_is_as_good(self, run):
        copy = run.paths.root.with_name("20200101-000000-abcdef")
        shutil.copytree(run.paths.root, copy)
        other = nt.attach("abcdef")
        assert other.state == run.state
        assert other.model().classes == run.model().classes
        assert len(nt.runs()) == 2

    def test_programs_in_it_are_never_run(self, run, tmp_path):
        """Wherever something of ours might look for one."""
        marker = tmp_path / "executed"
        program = pickle.dumps(Program(marker))
        pickle.loads(program)
        assert marker.exists()  # so it would be noticed
        marker.unlink()
        places = (
            ".",
            "code",
            "checkpoints",
            "checkpoints/step-00009999",
            "result",
            "result/model",
            "snapshots/0-lp",
            "control",
        )
        for place in places:
            (run.paths.root / place).mkdir(exist_ok=True)
            for name in ("code.pkl", "state.pt", "model.pth", ".metadata", "user_code.py", "sitecustomize.py", "torch.py"):
                (run.paths.root / place / name).write_bytes(program if not name.endswith(".py") else touching(marker))
        other = nt.attach(run.id)
        assert other.state.status == "finished"
        assert other.model().classes == ("blue", "green", "red")
        journal = JournalWriter(run.paths.events, 1)
        journal.append(ev.Stopped("not at its end"))
        journal.close()
        assert other.resume().attempt == 2
        assert other.wait(PATIENCE).status == "finished", other.log()
        assert not marker.exists()

    @pytest.mark.parametrize("source", ["../../../etc/passwd", "/etc/passwd", "a/../../x.png", "x\0.png"])
    def test_images_outside_its_task_are_not_opened(self, run, source):
        sample = dataclasses.replace(run.recipe.task.samples[0], source=source)
        with pytest.raises(UndecodableError, match="outside the folder"):
            ImageSource(run.recipe.task).image(sample)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            "{}",
            "[" * 100_000,
            "\0",
            "NaN",
            '{"format": 1, "recipe": 3}',
            '{"format": 1, "recipe": {"task": {}}}',
        ],
        ids=range(8),
    )
    def test_a_hostile_spec_is_one_sentence_and_hides_no_other_run(self, run, text):
        bad = runs.create(run.recipe)
        bad.spec.write_text(text)
        with pytest.raises(NbTransferError):
            _ = nt.attach(bad.id).recipe
        table = repr(nt.runs())
        assert bad.id in table
        assert run.id in table

    @pytest.mark.parametrize("line", ["{}", "[1]", "[" * 10_000, '["a", "b", "train", 1, 2]', "null"], ids=range(5))
    def test_a_hostile_manifest(self, run, line):
        run.paths.manifest.write_text(line + "\n")
        with pytest.raises(RunError, match="cannot be read"):
            _ = nt.attach(run.id).recipe

    def test_hostile_events(self, run):
        seq = run.state.seq
        hostile = {
            "seq": seq + 1,
            "attempt": 1,
            "time": 0.0,
            "clock": 0.0,
            "event": "Warned",
            "message": "<img src=x onerror=a()>",
        }
        with run.paths.events.open("a") as stream:
            stream.write("[" * 10_000 + "\n" + json.dumps({**hostile, "event": "Event"}) + "\n" + json.dumps(hostile) + "\n")
        other = nt.attach(run.id)
        assert other.state.warnings[-1] == "<img src=x onerror=a()>"
        assert "<img src=x" not in kept_html([other])


def test_folders_are_private_whatever_the_mask_says(images):
    before = os.umask(0)
    try:
        paths = runs.create(recipe(images))
    finally:
        os.umask(before)
    for folder in (paths.root, *paths.folders, paths.root.parent, paths.root.parent.parent):
        assert folder.stat().st_mode & 0o077 == 0, folder


def test_a_home_that_others_may_write_to_is_refused(images, home):
    home.mkdir(parents=True)
    home.chmod(0o777)
    with pytest.raises(RunError, match="is writable by everyone"):
        runs.create(recipe(images))
    home.chmod(0o700)
    if os.getuid() == 0:
        os.chown(home, 65534, 65534)
        with pytest.raises(RunError, match="belongs to another user"):
            runs.create(recipe(images))
        os.chown(home, 0, 0)
