"""One thread for all widgets, that ends when nobody needs it."""

from __future__ import annotations

import gc
import threading

from nbtransfer.ui import pump


def pumps():
    return [thread for thread in threading.enumerate() if thread.name == "nbtransfer-pump"]


def wait_for_end():
    for thread in pumps():
        thread.join(10)
    assert pumps() == []


def test_all_are_called_by_one_thread_until_removed():
    wait_for_end()
    counts, enough = {"a": 0, "b": 0}, threading.Event()

    def tick(name):
        counts[name] += 1
        if min(counts.values()) >= 2:
            enough.set()

    for name in counts:
        pump.add(name, lambda name=name: tick(name))
    assert enough.wait(10)
    assert len(pumps()) == 1
    pump.remove("a")
    pump.remove("b")
    wait_for_end()


def test_garbage_is_collected_while_a_widget_is_added():
    """A widget is garbage in a cycle, and is closed by whichever thread makes the collector run."""

    class Widget:
        def __init__(self):
            self.itself = self

        def __del__(self):
            pump.remove(self)

    def collect():
        with pump._changing:
            Widget()
            gc.collect()

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_it_can_be_used_again_after_its_end():
    for _ in range(2):
        wait_for_end()
        called = threading.Event()
        pump.add("again", called.set)
        assert called.wait(10)
        pump.remove("again")
