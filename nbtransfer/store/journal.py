"""The journal of a run: one JSON record a line, appended whole, read by anyone at any time."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from nbtransfer.core.codec import dumps
from nbtransfer.core.events import Event, Record
from nbtransfer.errors import InputError


class JournalWriter:
    """Appends events. Only the holder of the run's lock may have one."""

    def __init__(self, path: Path, attempt: int) -> None:
        self._attempt = attempt
        reader = JournalReader(path)
        last = max((record.seq for record in reader.read()), default=-1)
        self._next = last + 1
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        # A worker killed while writing leaves half a line. Nobody has read it: readers take whole lines only.
        os.ftruncate(self._descriptor, reader.offset)

    def append(self, event: Event, *, sync: bool = False) -> Record:
        """Write one event in a single system call; with `sync` it survives a power cut too."""
        record = Record(self._next, self._attempt, time.time(), time.monotonic(), event)
        line = (dumps(record.to_plain()) + "\n").encode("ascii")
        end = os.lseek(self._descriptor, 0, os.SEEK_END)
        if os.write(self._descriptor, line) < len(line):  # the disk is full: take back the half that fitted
            os.ftruncate(self._descriptor, end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if sync:
            os.fsync(self._descriptor)
        self._next += 1
        return record

    def close(self) -> None:
        os.close(self._descriptor)


class JournalReader:
    """Reads what is new since the last call. `skipped` counts lines that are no records."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.offset = 0
        self.skipped = 0

    def read(self) -> Iterator[Record]:
        """The records added since the last call, in order; a half-written last line waits for its rest."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self.offset)
                data = stream.read()
        except FileNotFoundError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self.offset += len(whole)
        for line in whole.splitlines():
            try:
                yield Record.from_plain(json.loads(line))
            except (ValueError, InputError):
                self.skipped += 1
