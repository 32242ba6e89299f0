"""The control inbox: a client with access to the run folder drops a command; the worker answers with an event."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbtransfer.core.codec import dumps, from_plain
from nbtransfer.core.messages import Message, message
from nbtransfer.errors import InputError, RunError
from nbtransfer.store import atomic

MOST_BYTES = 64 * 1024
ASIDE = "junk"

ME = f"session {secrets.token_hex(3)}"
"""Distinguishes two notebooks. It names no person or machine, because it is displayed, saved and published."""
_numbering = threading.Lock()
_last = 0


@dataclass(frozen=True, slots=True)
class Command:
    """One command: `op` and its arguments, its sender, and the number of the last event the sender had seen.

    `seen` is None if it does not matter what others did meanwhile.
    """

    id: str
    op: str
    sender: str
    arguments: dict[str, Any] = field(default_factory=dict)
    seen: int | None = None


@dataclass(frozen=True, slots=True)
class Junk:
    """A file in the inbox that is not a command."""

    id: str
    reason: Message


def send(folder: Path, op: str, *, seen: int | None = None, **arguments: Any) -> Command:
    """Drop a command. Names sort by time, so commands are read in the order they were sent."""
    command = Command(f"{_number():020d}-{secrets.token_hex(4)}", op, ME, arguments, seen)
    try:
        atomic.write_text(folder / f"{command.id}.json", dumps(command))
    except OSError as error:
        raise RunError(
            f"the command {op} cannot be written ({error.strerror}: {folder}); free space, or see who owns the folder"
        ) from error
    return command


def has_any(folder: Path) -> bool:
    """Whether any command is pending."""
    try:
        with os.scandir(folder) as entries:
            return any(_is_command(entry.name) for entry in entries)
    except OSError:
        return False


def pending(folder: Path) -> list[Command | Junk]:
    """Pending commands, oldest first."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if _is_command(entry.name))
    except OSError:
        return []
    return [_read(folder / name) for name in names]


def remove(folder: Path, answered: Command | Junk) -> None:
    """Remove an answered command; junk is moved aside for inspection."""
    path = folder / f"{answered.id}.json"
    with contextlib.suppress(OSError):
        if isinstance(answered, Junk):
            (folder / ASIDE).mkdir(mode=0o700, exist_ok=True)
            path.replace(folder / ASIDE / path.name)
        else:
            path.unlink()


def _is_command(name: str) -> bool:
    return name.endswith(".json") and not name.startswith(".")


def _read(path: Path) -> Command | Junk:
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return Junk(path.stem, message("refused.size"))
        command = from_plain(Command, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, InputError, RecursionError) as error:
        return Junk(path.stem, message("refused.text", error=str(error)[:200]))
    # Files are sorted and removed by name.
    return command if command.id == path.stem else Junk(path.stem, message("refused.name"))


def _number() -> int:
    """The time in nanoseconds, but always increasing: clocks may be set back."""
    global _last  # noqa: PLW0603 - one for the process
    with _numbering:
        _last = max(time.time_ns(), _last + 1)
        return _last
