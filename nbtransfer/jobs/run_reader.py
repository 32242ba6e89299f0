"""Follow a run: fold its journal into a state, and tell whether its worker is alive, stalled or lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from nbtransfer.core.state import RunState, fold
from nbtransfer.errors import RunError
from nbtransfer.jobs import exit_reports
from nbtransfer.store.journal import JournalReader
from nbtransfer.store.lock import is_held
from nbtransfer.store.paths import RunPaths

POLL_SECONDS = 0.1
START_SECONDS = 20.0
"""How long a new run may take until its worker holds the lock."""
REPORT_SECONDS = 2.0
"""Grace period for the runner's exit report."""


class RunReader:
    """The state of one run. Only reads the run folder, so any number of readers may exist."""

    def __init__(self, paths: RunPaths) -> None:
        self.paths = paths
        self._journal = JournalReader(paths.events, passing=0)
        self._state = RunState()
        self._reading = threading.Lock()  # a dashboard's thread and a cell may share one handle

    @property
    def id(self) -> str:
        return self.paths.id

    @property
    def seen(self) -> int | None:
        """The number of the newest event read so far; None before the first one."""
        return self._state.seq if self._state.seq >= 0 else None

    @property
    def state(self) -> RunState:
        """The run now. Reads only what was written since the last call."""
        with self._reading:
            return self._read()

    def _read(self) -> RunState:
        while True:
            held, seen = is_held(self.paths.lock), self._state.seq
            self._state = fold(self._journal.read(), self._state)
            left = self._state.waits is not None and self._state.waits.left
            if held and (message := exit_reports.stall_message(self.paths)):
                return replace(self._state, status="stalled", message=message)
            if held or self._state.ended or left or not self._may_be_lost():
                return self._state
            # A worker may have started or ended between the two checks; then the journal has grown.
            if self._state.seq == seen and not is_held(self.paths.lock):
                self._age()  # raises if the folder is gone, too
                return replace(self._state, status="lost", message=exit_reports.loss_message(self.paths, self._state.pid))

    @property
    def never_began(self) -> bool:
        """No worker has taken the run yet, as far as can be seen; one may be on its way, however long that takes."""
        return self.state.seq < 0 and exit_reports.newest(self.paths) is None

    def _may_be_lost(self) -> bool:
        """A run without a worker is lost, unless it is so new that its worker may still be starting."""
        return self._state.seq >= 0 or exit_reports.newest(self.paths) is not None or self._age() > START_SECONDS

    def _age(self) -> float:
        try:
            return time.time() - self.paths.spec.stat().st_mtime
        except FileNotFoundError as error:
            raise RunError(f"run {self.id} is gone; its folder was removed") from error

    def wait(self, timeout: float | None = None) -> RunState:
        """Wait until the run has ended, or for `timeout` seconds; returns its state then."""
        return next(state for state, last in self.follow(timeout) if last)

    def follow(self, timeout: float | None = None) -> Iterator[tuple[RunState, bool]]:
        """The state after each change, and whether it is the last: the run ended, or `timeout` seconds passed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        seen = None
        while True:
            state = self.state
            if state.status == "lost" and seen is not None:  # it was alive a moment ago
                state = self._state_with_report()
            last = state.over or (deadline is not None and time.monotonic() >= deadline)
            news = state.seq, state.status  # a stall is not in the journal
            if last or news != seen:
                yield state, last
            if last:
                return
            seen = news
            time.sleep(POLL_SECONDS)

    def _state_with_report(self) -> RunState:
        """The state of a lost run, once its runner has reported or the grace period is over."""
        deadline = time.monotonic() + REPORT_SECONDS
        while exit_reports.newest(self.paths, self._state.pid) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.state
