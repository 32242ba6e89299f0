"""The journal of a run: one JSON record per line, appended whole, readable at any time."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbtransfer.core.codec import dumps
from nbtransfer.core.events import Event
from nbtransfer.core.formats import events as formats
from nbtransfer.core.formats.numbers import EVENTS
from nbtransfer.core.record import Record
from nbtransfer.errors import InputError

BLOCK_BYTES = 1 << 20
LONGEST_LINE = 16 << 20
STEP, COMPUTING = b'"event":"Step"', b'"event":"Computing"'
"""Frequent events, each of which makes the one before it obsolete."""


class JournalWriter:
    """Appends events. Only the holder of the run's lock may have one."""

    def __init__(self, path: Path, attempt: int) -> None:
        self._attempt = attempt
        reader = JournalReader(path, passing=0)
        last = max((record.seq for record in reader.read()), default=-1)
        self._next = last + 1
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        # A worker killed while writing leaves half a line, which no reader has read: they take whole lines only.
        os.ftruncate(self._descriptor, reader.offset)

    def append(self, event: Event, *, sync: bool = False) -> Record:
        """Write one event in a single system call; with `sync` it survives a power failure too."""
        record = Record(self._next, self._attempt, time.time(), time.monotonic(), event)
        line = (dumps(record.to_plain()) + "\n").encode("ascii")
        end = os.lseek(self._descriptor, 0, os.SEEK_END)
        if os.write(self._descriptor, line) < len(line):  # the disk is full: remove the part that fitted
            os.ftruncate(self._descriptor, end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if sync:
            os.fsync(self._descriptor)
        self._next += 1
        return record

    def close(self) -> None:
        os.close(self._descriptor)


class JournalReader:
    """Reads what is new since the last call. `skipped` counts lines that are not records.

    Of consecutive events that make each other obsolete, every `passing`-th is read; with 0 only the last. A journal of a
    million lines then takes a fraction of a second.
    """

    def __init__(self, path: Path, *, passing: int = 1) -> None:
        self._path, self.passing = path, passing
        self.offset = 0
        self.skipped = 0
        self.parsed = 0
        self._format = EVENTS

    def read(self) -> Iterator[Record]:
        """The records added since the last call, in order; an incomplete last line is left for the next call."""
        for lines in self._blocks():
            for line in lines if self.passing == 1 else _thin_out(lines, self.passing):
                self.parsed += 1
                try:
                    yield self._record(json.loads(line))
                except (ValueError, InputError, RecursionError):
                    self.skipped += 1

    def _record(self, plain: Any) -> Record:
        """Attempts may be of different versions, so each says what it writes."""
        self._format = formats.format_of(plain, self._format)
        return Record.from_plain(plain, self._format)

    def _blocks(self) -> Iterator[list[bytes]]:
        """Whole lines, about a megabyte at a time. Memory stays bounded even if a line does not end."""
        try:
            stream = self._path.open("rb")
        except FileNotFoundError:
            return
        with stream:
            stream.seek(self.offset)
            rest = b""
            while data := stream.read(BLOCK_BYTES):
                data = rest + data
                cut = data.rfind(b"\n") + 1
                if not cut and len(data) > LONGEST_LINE:  # no record is that long
                    cut = len(data)
                rest = data[cut:]
                self.offset += cut
                if cut:
                    yield data[:cut].splitlines()


def _thin_out(lines: list[bytes], every: int) -> Iterator[bytes]:
    """Lines without most of the passing ones that another one follows."""
    passing = [STEP in line or COMPUTING in line for line in lines]
    for number, (line, one, following) in enumerate(zip(lines, passing, [*passing[1:], False], strict=True)):
        if not (one and following) or (every and number % every == 0):
            yield line
