"""The control inbox: anyone who may write to the run folder drops a command; the worker answers with an event."""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbtransfer.core.codec import dumps, from_plain
from nbtransfer.errors import InputError
from nbtransfer.store import atomic

MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Command:
    """One wish: `op` and its arguments, and who sent it."""

    id: str
    op: str
    sender: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Junk:
    """A file in the inbox that is no command."""

    id: str
    reason: str


def send(folder: Path, op: str, **arguments: Any) -> Command:
    """Drop a command. Names sort by time, so commands are taken in the order they were sent."""
    command = Command(f"{time.time_ns():020d}-{secrets.token_hex(4)}", op, _sender(), arguments)
    atomic.write_text(folder / f"{command.id}.json", dumps(command))
    return command


def take(folder: Path) -> Iterator[Command | Junk]:
    """The commands that wait, oldest first. Each is removed when the next one is asked for: after its answer is written."""
    for path in sorted(p for p in folder.glob("*.json") if not p.name.startswith(".") and p.is_file()):
        yield _read(path)
        path.unlink(missing_ok=True)


def _read(path: Path) -> Command | Junk:
    try:
        if path.stat().st_size > MOST_BYTES:
            return Junk(path.stem, "the file is too large to be a command")
        return from_plain(Command, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, InputError) as error:
        return Junk(path.stem, f"not a command: {error}")


def _sender() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"
