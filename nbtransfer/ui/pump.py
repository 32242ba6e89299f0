"""One thread for all widgets of a kernel: looks at runs a few times a second and tells the browser what is new.

It prints nothing, displays nothing and never touches pyplot: such output would land in whatever cell runs just then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

SECONDS = 0.25
"""At most four updates a second reach the browser, however fast a run is."""

Tick = Callable[[], None]

_ticks: dict[object, Tick] = {}
_changing = threading.Lock()
_thread: threading.Thread | None = None
_wake = threading.Event()


def add(owner: object, tick: Tick) -> None:
    """Call `tick` again and again until `remove(owner)`. It must not raise."""
    global _thread  # noqa: PLW0603 - one thread for the kernel, made when first needed
    with _changing:
        _ticks[owner] = tick
        if _thread is None:
            _thread = threading.Thread(target=_go_round, name="nbtransfer-pump", daemon=True)
            _thread.start()


def remove(owner: object) -> None:
    """Call it no more.

    The garbage collector closes widgets wherever it happens to run, also where a thread holds one of the locks here. Those
    have been removed before, or they would not be garbage; they must not wait for a lock.
    """
    if owner in _ticks:
        with _changing:
            _ticks.pop(owner, None)
        _wake.set()


def _go_round() -> None:
    global _thread  # noqa: PLW0603
    while True:
        with _changing:
            if not _ticks:
                _thread = None
                return
            ticks = list(_ticks.values())
        for tick in ticks:
            tick()
        _wake.wait(SECONDS)
        _wake.clear()
