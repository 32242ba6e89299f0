"""Clocks that are set back or forward, while a run goes on or between two attempts."""

from __future__ import annotations

import itertools
import os

import pytest

from nbtransfer.core import events as ev
from nbtransfer.core.state import fold
from nbtransfer.store import heartbeat, journal
from nbtransfer.store.heartbeat import Watch
from nbtransfer.store.journal import JournalReader, JournalWriter

HOUR = 3600.0


@pytest.mark.parametrize("jump", [-24 * HOUR, 24 * HOUR])
def test_order_and_durations_do_not_come_from_the_time_of_day(tmp_path, monkeypatch, jump):
    times, clocks = itertools.count(1e9, jump), itertools.count(50.0, 2.0)
    monkeypatch.setattr(journal.time, "time", lambda: next(times))
    monkeypatch.setattr(journal.time, "monotonic", lambda: next(clocks))
    path = tmp_path / "events.jsonl"
    writer = JournalWriter(path, 1)
    for event in (ev.Starting(1, "h", "3"), ev.Warned("one"), ev.Warned("two")):
        writer.append(event)
    writer.close()
    monkeypatch.setattr(journal.time, "monotonic", lambda: 3.0)  # the machine was started again
    writer = JournalWriter(path, 2)
    writer.append(ev.Starting(2, "h", "3"))
    writer.close()
    state = fold(JournalReader(path).read())
    assert state.warnings == ("one", "two")
    assert state.attempt == 2
    assert state.seconds == 4.0


def test_a_heartbeat_is_a_change_not_a_time(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now[0])
    path = tmp_path / "heartbeat"
    path.touch()
    watch = Watch(path)
    assert watch.quiet() == 0
    now[0] += 50
    assert watch.quiet() == 50
    os.utime(path, (1e9, 1e9))  # a beat, by a clock that was set back by years
    assert watch.quiet() == 0
    now[0] += 61
    assert watch.quiet() == 61
