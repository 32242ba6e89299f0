"""The worker's side of the run folder: it writes events, and reads commands."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from types import FrameType

from nbtransfer.core import events as ev
from nbtransfer.core.messages import Message, message
from nbtransfer.core.record import Record
from nbtransfer.core.state import RunState, fold
from nbtransfer.core.training_plan import CHANGES
from nbtransfer.errors import RunError
from nbtransfer.store import atomic, inbox
from nbtransfer.store.heartbeat import Heart
from nbtransfer.store.inbox import Command, Junk
from nbtransfer.store.journal import JournalReader, JournalWriter
from nbtransfer.store.log import rotate
from nbtransfer.store.paths import RunPaths

UNSYNCED = (ev.Step, ev.Computing, ev.ImageSkipped)
PAUSE_SECONDS = 600.0
REST_SECONDS = 0.02
RETRY_SECONDS = 1.0
RESERVE_BYTES = 64 * 1024


class WorkerIO:
    """The engine's access to journal and inbox. Only the holder of the run's lock may have one."""

    def __init__(self, paths: RunPaths) -> None:
        self._paths = paths
        self.past = RunState()
        self._answered: set[str] = set()
        self._changed: dict[str, Record] = {}
        for record in JournalReader(paths.events, passing=0).read():
            self.past = fold([record], self.past)
            self._note(record)
        self._journal = JournalWriter(paths.events, self.past.attempt + 1)
        self._resting_since: float | None = None
        self._patience = float(os.environ.get("NBTRANSFER_PAUSE_SECONDS", PAUSE_SECONDS))
        self.ended_by: Message | None = None
        self._heart = Heart(paths.heartbeat)
        self._reserve()

    def write(self, event: ev.Event) -> None:
        """Write to the journal; while the disk is full, wait."""
        self._beat()
        record = self._append(event)
        if record is None:
            reported = self._write_from_reserve(ev.Paused(message("pause.disk")))
            while record is None:
                self._beat()
                time.sleep(RETRY_SECONDS)
                # The space of the reserve is only for reporting a full disk, not for continuing.
                record = self._append(event) if self._reserve() else None
            if reported:
                self.write(ev.Continued())
        self._note(record)

    def _append(self, event: ev.Event) -> Record | None:
        """None if the disk is full."""
        try:
            return self._journal.append(event, sync=not isinstance(event, UNSYNCED))
        except OSError as error:
            if not atomic.no_room(error):
                raise
            return None

    def waiting(self) -> bool:
        """Whether any command is pending."""
        self._beat()
        self._resting_since = None
        return inbox.has_any(self._paths.control)

    def take(self) -> Sequence[Command | Junk]:
        """Pending commands without an answer yet, in order."""
        found = inbox.pending(self._paths.control)
        for command in found:
            if command.id in self._answered:  # an earlier worker was killed before it could remove it
                inbox.remove(self._paths.control, command)
        return [command for command in found if command.id not in self._answered]

    def refusal(self, command: Command) -> Message | None:
        """Why a change is out of date: another client made one that its sender had not seen yet."""
        if command.seen is None:
            return None
        for sender, record in self._changed.items():
            if sender != command.sender and record.seq > command.seen and isinstance(record.event, ev.CommandDone):
                change = f"{record.event.op} {record.event.arguments}"
                return message("refused.changed", sender=sender, change=change)
        return None

    def done(self, command: Command | Junk) -> None:
        """Remove an answered command."""
        inbox.remove(self._paths.control, command)

    def rest(self) -> bool:
        """Wait a moment; False once the pause has lasted so long that memory should be freed."""
        self._beat()
        now = time.monotonic()
        if self._resting_since is None:
            self._resting_since = now
        time.sleep(REST_SECONDS)
        return now - self._resting_since < self._patience

    def on_signal(self, _signum: int, _frame: FrameType | None) -> None:
        """Treat a termination signal as a command to end soon: a machine sends one before it shuts down."""
        self.ended_by = message("end.signal")

    def _note(self, record: Record) -> None:
        event = record.event
        if isinstance(event, ev.CommandDone):
            self._answered.add(event.id)
            if event.accepted and event.op in CHANGES:
                self._changed[event.sender] = record

    def _beat(self) -> None:
        """Show that the worker makes progress."""
        if self._heart.beat():
            rotate(self._paths)
            if not self._paths.lock.exists():
                raise RunError("the run's folder was removed while it was running")

    def _reserve(self) -> bool:
        """Reserve disk space for reporting that the disk is full. False if it is."""
        try:
            self._paths.reserve.write_bytes(os.urandom(RESERVE_BYTES))  # a file system may store zeros without using space
        except OSError as error:
            with contextlib.suppress(OSError):
                self._paths.reserve.unlink(missing_ok=True)
            return not atomic.no_room(error)
        return True

    def _write_from_reserve(self, event: ev.Event) -> bool:
        self._paths.reserve.unlink(missing_ok=True)
        try:
            self._journal.append(event, sync=True)
        except OSError:
            return False
        return True
