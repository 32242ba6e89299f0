"""The run folder: files that appear whole, a journal that survives anything, a lock that does not lie."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtransfer.core import events as ev
from nbtransfer.core.formats.numbers import RUN
from nbtransfer.core.state import fold
from nbtransfer.errors import RunError
from nbtransfer.store import atomic, find_run, inbox, journal, log, runs
from nbtransfer.store.home import private_folder
from nbtransfer.store.journal import JournalReader, JournalWriter
from nbtransfer.store.lock import RunLock, is_held
from nbtransfer.store.paths import RunPaths
from tests.support.folders import recipe


class TestHome:
    def test_folders_are_private(self, home):
        private_folder(home / "runs")
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert stat.S_IMODE((home / "runs").stat().st_mode) == 0o700

    def test_a_home_that_cannot_be_made(self, tmp_path, monkeypatch):
        (tmp_path / "file").touch()
        monkeypatch.setenv("NBTRANSFER_HOME", str(tmp_path / "file" / "home"))
        with pytest.raises(RunError, match="set NBTRANSFER_HOME to a folder you may write to"):
            runs.create(recipe())

    def test_without_a_setting_it_is_in_the_working_folder(self, tmp_path, monkeypatch):
        monkeypatch.delenv("NBTRANSFER_HOME")
        monkeypatch.chdir(tmp_path)
        assert runs.home() == tmp_path / ".nbtransfer"


class TestAtomic:
    def test_a_file_is_replaced_whole(self, tmp_path):
        path = tmp_path / "f"
        atomic.write_text(path, "old")
        atomic.write_text(path, "new")
        assert path.read_text() == "new"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_failure_leaves_the_old_file(self, tmp_path):
        path = tmp_path / "f"
        atomic.write_text(path, "old")
        with pytest.raises(UnicodeEncodeError):
            atomic.write_text(path, "\udcff")
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]


class TestJournal:
    def test_a_reader_gets_each_event_once(self, tmp_path):
        path = tmp_path / "events.jsonl"
        reader = JournalReader(path)
        assert list(reader.read()) == []
        writer = JournalWriter(path, 1)
        writer.append(ev.Warned("one"))
        assert [r.event.message for r in reader.read()] == ["one"]
        writer.append(ev.Warned("two"), sync=True)
        assert [(r.seq, r.event.message) for r in reader.read()] == [(1, "two")]
        assert list(reader.read()) == []
        writer.close()

    @given(st.integers(0, 200), st.binary(max_size=30).filter(lambda b: b"\n" not in b))
    def test_a_torn_last_line_is_mended_and_nothing_else_lost(self, cut, garbage):
        import tempfile
        from pathlib import Path

        path = Path(tempfile.mkdtemp()) / "events.jsonl"
        writer = JournalWriter(path, 1)
        for number in range(3):
            writer.append(ev.Warned(str(number)))
        writer.close()
        whole = path.read_bytes()
        torn = whole[: max(len(whole) - cut, 0)]
        kept = torn.count(b"\n")
        path.write_bytes(torn + garbage)
        again = JournalWriter(path, 2)
        again.append(ev.Warned("after"))
        again.close()
        records = list(JournalReader(path).read())
        assert [r.event.message for r in records] == [*map(str, range(kept)), "after"]
        assert [r.seq for r in records] == list(range(kept + 1))

    def test_lines_that_are_no_records_are_counted_and_passed_over(self, tmp_path):
        path = tmp_path / "events.jsonl"
        writer = JournalWriter(path, 1)
        writer.append(ev.Warned("one"))
        with path.open("ab") as stream:
            stream.write(b'\xff\xfe binary\n[1, 2]\n{"seq": 1}\n')
        writer.append(ev.Warned("two"))
        writer.close()
        reader = JournalReader(path)
        assert [r.event.message for r in reader.read()] == ["one", "two"]
        assert reader.skipped == 3

    def test_half_a_line_waits_for_its_rest(self, tmp_path):
        path = tmp_path / "events.jsonl"
        writer = JournalWriter(path, 1)
        writer.append(ev.Warned("one"))
        writer.close()
        line = path.read_bytes()
        path.write_bytes(line[:20])
        reader = JournalReader(path)
        assert list(reader.read()) == []
        path.write_bytes(line)
        assert len(list(reader.read())) == 1


class TestLock:
    HOLDER = (
        "import sys, time, pathlib; from nbtransfer.store.lock import RunLock;"
        "assert RunLock(pathlib.Path(sys.argv[1])).acquire(); print('held', flush=True); time.sleep(60)"
    )

    def test_it_is_free_the_moment_its_holder_is_killed(self, tmp_path):
        path = tmp_path / "lock"
        assert not is_held(path)
        with subprocess.Popen([sys.executable, "-c", self.HOLDER, str(path)], stdout=subprocess.PIPE) as holder:
            assert holder.stdout.readline() == b"held\n"
            assert is_held(path)
            mine = RunLock(path)
            assert not mine.acquire(patience=0.05)
            holder.send_signal(signal.SIGKILL)
            assert mine.acquire(patience=5)  # the holder is a zombie now, and its number still in use
            assert os.kill(holder.pid, 0) is None
            mine.release()

    def test_looking_does_not_take_it(self, tmp_path):
        path = tmp_path / "lock"
        path.touch()
        for _ in range(50):
            assert not is_held(path)
        lock = RunLock(path)
        assert lock.acquire(patience=0)
        lock.release()


class TestLongJournals:
    def written(self, path):
        """1,000 steps in 10 epochs, with garbage in between."""
        writer = JournalWriter(path, 1)
        writer.append(ev.Starting(1, "h", "3"))
        for number in range(1000):
            writer.append(ev.Step("ft", 1, number, 1000, 0.5, 0.1, 20.0))
            if number % 100 == 99:
                writer.append(ev.Warned(str(number)))
        writer.close()
        return path

    def test_what_is_out_of_date_is_passed_over(self, tmp_path):
        path = self.written(tmp_path / "events.jsonl")
        reader = JournalReader(path, passing=0)
        records = list(reader.read())
        assert reader.parsed == len(records) == 21
        assert [r.event.step for r in records[1::2]] == list(range(99, 1000, 100))
        whole = list(JournalReader(path).read())
        assert len(whole) == 1011
        assert fold(records) == fold(whole)

    def test_a_sample_of_them(self, tmp_path):
        reader = JournalReader(self.written(tmp_path / "events.jsonl"), passing=10)
        assert 20 < len(list(reader.read())) < 130

    def test_a_line_without_an_end_takes_bounded_memory(self, tmp_path, monkeypatch):
        monkeypatch.setattr(journal, "LONGEST_LINE", 1 << 20)
        path = self.written(tmp_path / "events.jsonl")
        with path.open("ab") as stream:
            stream.write(b"x" * (5 << 20) + b"\n")
        writer = JournalWriter(path, 2)
        writer.append(ev.Warned("after"))
        reader = JournalReader(path)
        records = list(reader.read())
        assert records[-1].event.message == "after"
        assert records[-1].seq == 1011
        assert 1 <= reader.skipped <= 6


class TestLog:
    def test_it_is_rotated_and_read_across(self, tmp_path):
        code = (
            "import sys, os; from pathlib import Path; from nbtransfer.store.paths import RunPaths;"
            "from nbtransfer.store.log import rotate; paths = RunPaths(Path(sys.argv[1]));"
            "[(print('line', n, 'x' * 90, flush=True), rotate(paths, 1000)) for n in range(25)]"
        )
        paths = RunPaths(tmp_path)
        with paths.log.open("ab") as stream:
            subprocess.run([sys.executable, "-c", code, str(tmp_path)], stdout=stream, stderr=stream, check=True)
        assert paths.log.stat().st_size < 1100
        assert paths.old_log.stat().st_size < 1200
        lines = log.tail(paths, 8).splitlines()
        assert [line.split()[1] for line in lines] == [str(n) for n in range(17, 25)]


def test_a_disk_without_locks(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    lock = RunLock(tmp_path / "lock")
    monkeypatch.setattr(fcntl, "lockf", refuse)
    for look in (lock.acquire, lambda: is_held(tmp_path / "lock")):
        with pytest.raises(RunError, match=r"has no file locks .*; set NBTRANSFER_HOME to a folder on a local disk"):
            look()
    lock.release()


class TestInbox:
    def test_commands_come_in_the_order_they_were_sent(self, tmp_path):
        assert not inbox.has_any(tmp_path)
        sent = [inbox.send(tmp_path, "dance", tempo=n) for n in range(5)]
        assert inbox.has_any(tmp_path)
        assert inbox.pending(tmp_path) == sent

    def test_also_when_the_clock_is_set_back(self, tmp_path, monkeypatch):
        first = inbox.send(tmp_path, "dance")
        monkeypatch.setattr(inbox.time, "time_ns", lambda: 5)
        assert [inbox.send(tmp_path, "dance").id > first.id for _ in range(3)] == [True] * 3

    def test_a_command_stays_until_it_was_answered(self, tmp_path):
        inbox.send(tmp_path, "stop")
        (command,) = inbox.pending(tmp_path)
        assert inbox.pending(tmp_path) == [command]
        inbox.remove(tmp_path, command)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "content", [b"", b"{", b"[]", b'{"op": 1}', b"\xff\xfe", b" " * (inbox.MOST_BYTES + 1), b"[" * 60_000]
    )
    def test_junk_is_named_and_put_aside(self, tmp_path, content):
        (tmp_path / "00.json").write_bytes(content)
        (junk,) = inbox.pending(tmp_path)
        assert isinstance(junk, inbox.Junk)
        inbox.remove(tmp_path, junk)
        assert not inbox.has_any(tmp_path)
        assert (tmp_path / "junk" / "00.json").read_bytes() == content

    def test_a_command_under_another_name_is_junk(self, tmp_path):
        command = inbox.send(tmp_path, "stop")
        (tmp_path / f"{command.id}.json").rename(tmp_path / "1.json")
        assert isinstance(inbox.pending(tmp_path)[0], inbox.Junk)

    def test_what_is_no_command_file_is_left_alone(self, tmp_path):
        (tmp_path / ".tmp-abc-1.json").write_text("{")
        (tmp_path / "notes.txt").write_text("x")
        assert not inbox.has_any(tmp_path)
        (tmp_path / "folder.json").mkdir()
        (junk,) = inbox.pending(tmp_path)
        inbox.remove(tmp_path, junk)
        assert not inbox.has_any(tmp_path)

    def test_a_folder_that_cannot_be_written(self, tmp_path):
        with pytest.raises(RunError, match="the command stop cannot be written"):
            inbox.send(tmp_path / "gone", "stop")


class TestFullDisk:
    """The largest file a process may write stands in for the room that is left."""

    ROOM = """
import resource, signal, sys
from pathlib import Path
from nbtransfer.core import events as ev
from nbtransfer.errors import RunError
from nbtransfer.store import runs
from nbtransfer.store.journal import JournalReader, JournalWriter
from tests.support.folders import recipe
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def room(size): resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
"""

    def in_a_process(self, code):
        """A process of its own: the limit holds for everything it writes."""
        command = [sys.executable, "-c", self.ROOM + code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    def test_no_room_for_a_run(self, home):
        self.in_a_process("""
runs.create(recipe())
room(100)
try:
    runs.create(recipe())
except RunError as error:
    assert "free space or set NBTRANSFER_HOME" in str(error)
else:
    raise AssertionError
""")
        assert len(list((home / "runs").iterdir())) == 1

    def test_no_room_for_an_event_leaves_whole_lines(self, tmp_path):
        path = tmp_path / "events.jsonl"
        self.in_a_process(f"""
path = Path({str(path)!r})
writer = JournalWriter(path, 1)
writer.append(ev.Warned("one"))
size = path.stat().st_size
room(size + 20)
try:
    writer.append(ev.Warned("two"))
except OSError:
    assert path.stat().st_size == size
else:
    raise AssertionError
room(10**6)
writer.append(ev.Warned("three"))
""")
        assert [r.event.message for r in JournalReader(path).read()] == ["one", "three"]


class TestRuns:
    @given(st.binary(min_size=1, max_size=12))
    def test_a_recipe_comes_back_as_it_was_whatever_the_names(self, raw):
        source = raw.decode("utf-8", "surrogateescape")
        paths = runs.create(recipe(source, freeze=None, augment=(), title="<b>ü</b>\n"))
        assert runs.read_recipe(paths) == recipe(source, freeze=None, augment=(), title="<b>ü</b>\n")

    def test_a_run_folder_is_complete_and_private(self):
        paths = runs.create(recipe())
        assert all(folder.is_dir() and stat.S_IMODE(folder.stat().st_mode) == 0o700 for folder in (paths.root, *paths.folders))
        assert json.loads(paths.spec.read_text())["format"] == RUN
        assert runs.list_ids() == [paths.id]
        assert [p.name for p in paths.root.parent.iterdir()] == [paths.id]

    def test_finding_runs_by_part_of_their_id(self):
        one, two = runs.create(recipe()), runs.create(recipe())
        assert find_run.open_run(one.id) == one
        assert find_run.open_run(one.id[-6:]) == one
        with pytest.raises(RunError, match="matches 2 runs; write more of it"):
            find_run.open_run(two.id[:8])
        with pytest.raises(RunError, match="there is no run 'nope'"):
            find_run.open_run("nope")

    @pytest.mark.parametrize("name", ["", "../..", "/etc", "a\x00b", "..", "*"])
    def test_an_id_is_never_a_path(self, name):
        runs.create(recipe())
        with pytest.raises(RunError, match="there is no run"):
            find_run.open_run(name)

    @given(st.text(max_size=30) | st.lists(st.sampled_from(["..", "/", "\0", "\n", "2026", "-", "*", "~"])).map("".join))
    def test_whatever_is_asked_for_is_a_run_of_this_home_or_none(self, name):
        known = runs.list_ids() or [runs.create(recipe(title="../../x\0\n")).id]
        assert runs.ID.fullmatch(known[0])
        try:
            found = find_run.open_run(name)
        except RunError:
            return
        assert [found.id] == known
        assert found.root.parent == runs.home() / "runs"

    def test_other_folders_are_no_runs(self, home):
        paths = runs.create(recipe())
        (home / "runs" / ".tmp-x").mkdir()
        (home / "runs" / "notes").mkdir()
        assert runs.list_ids() == [paths.id]

    def test_runs_of_another_format_are_refused(self):
        paths = runs.create(recipe())
        paths.spec.write_text(paths.spec.read_text().replace(f'"format": {RUN}', '"format": 99'))
        with pytest.raises(RunError, match="has format 99, and this nbtransfer reads up to 4; update nbtransfer"):
            runs.read_recipe(paths)
