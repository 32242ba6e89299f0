"""Caches on the disk: complete or not there."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

import nbtransfer as nt
from nbtransfer.errors import InputError, RunError
from nbtransfer.store import caches
from nbtransfer.store.lock import RunLock
from tests.support.folders import FACTS, write_cache


def test_listed_by_their_last_use():
    assert repr(nt.caches()) == "there are no caches"
    write_cache("a" * 8, used=1000)
    write_cache("b" * 8, used=2000)
    assert [cache.key for cache in nt.caches()] == ["b" * 8, "a" * 8]
    caches.use(nt.caches()[1])
    assert [cache.key for cache in nt.caches()] == ["a" * 8, "b" * 8]
    assert "cloth" in repr(nt.caches())
    assert "5 bytes" in nt.caches()._repr_html_()


def test_cleared_by_the_beginning_of_their_key_or_all():
    for key in ("aa", "ab", "b"):
        write_cache(key)
    assert nt.clear_caches("aa") >= 5
    assert {cache.key for cache in nt.caches()} == {"ab", "b"}
    for keys in (("b", "../.."), ("/",)):
        with pytest.raises(InputError, match="no key begins with"):
            nt.clear_caches(*keys)
    assert {cache.key for cache in nt.caches()} == {"ab", "b"}
    nt.clear_caches()
    assert nt.caches() == ()
    assert nt.clear_caches() == 0


@pytest.mark.parametrize("damage", ["cut", "gone", "no facts", "bad facts"])
def test_what_is_not_whole_is_not_there(damage):
    folder = write_cache("k").folder
    if damage == "cut":
        (folder / "train.bin").write_bytes(b"123")
    elif damage == "gone":
        (folder / "train.bin").unlink()
    else:
        (folder / caches.FACTS).write_text("" if damage == "no facts" else "{}")
    assert caches.find("k") is None
    assert nt.caches() == ()
    write_cache("k")
    assert caches.find("k") is not None


def test_the_longest_unused_make_room():
    for number in range(4):
        write_cache(str(number), bytes(100), used=1000 + number)
    caches.make_room(150, 400)
    assert [cache.key for cache in nt.caches()] == ["3", "2"]
    with pytest.raises(RunError, match="there is room for 400 bytes on the disk, not for 1 kB"):
        caches.make_room(1000, 400)
    assert len(nt.caches()) == 2


def test_what_a_killed_run_left_goes_before_any_cache():
    write_cache("a")
    left = caches._folder() / ".tmp-0123456789ab-b"
    left.mkdir()
    (left / "train.bin").write_bytes(bytes(10**4))
    caches.make_room(10, 10**3)
    assert not left.exists()
    assert [cache.key for cache in nt.caches()] == ["a"]


def test_another_runs_is_as_good():
    with caches.draft("k") as mine:
        (mine / "train.bin").write_bytes(b"mine!")
        theirs = caches._folder() / "theirs"
        theirs.mkdir()
        (theirs / "train.bin").write_bytes(b"first")
        caches.publish(theirs, "k", FACTS)
        caches.publish(mine, "k", FACTS)
    assert (caches.find("k").folder / "train.bin").read_bytes() == b"first"
    assert [path.name for path in caches._folder().iterdir()] == ["k"]


MAKE = """
import time
from nbtransfer.store import caches
with caches.alone("k", lambda: False), caches.draft("k") as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


def test_clearing_spares_what_is_being_made():
    maker = subprocess.Popen([sys.executable, "-c", MAKE], stdout=subprocess.PIPE, text=True)
    draft = Path(maker.stdout.readline().strip())
    nt.clear_caches()
    assert draft.is_dir()
    maker.kill()
    maker.wait()
    maker.stdout.close()
    nt.clear_caches()
    assert not draft.exists()


HOLD = """
import sys, time
from nbtransfer.store import caches
with caches.alone("k", lambda: False) as mine:
    print(mine, flush=True)
    time.sleep(60)
"""


def test_one_process_builds_and_the_others_wait_until_it_ends():
    holder = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "True\n"
    with caches.alone("k", waiting=lambda: False) as mine:
        assert not mine
    threading.Timer(0.5, holder.kill).start()  # killed while it builds: its right ends with it
    with caches.alone("k", waiting=lambda: True) as mine:
        assert mine
    holder.wait()
    holder.stdout.close()
    with caches.alone("k", waiting=lambda: False) as mine:
        assert mine


def test_a_lock_whose_file_was_removed_by_who_had_it_is_not_the_right(monkeypatch):
    """Others lock a new file: two would build at once."""
    acquire, removed = RunLock.acquire, []

    def slowly(lock, patience):
        if not removed:
            removed.append(caches._lock("k").unlink())
        return acquire(lock, patience)

    monkeypatch.setattr(RunLock, "acquire", slowly)
    with caches.alone("k", waiting=lambda: True) as mine:
        assert mine
        assert caches._lock("k").exists()
    assert not caches._lock("k").exists()
