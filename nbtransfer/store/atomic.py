"""Whole files or nothing: write beside the target, flush to the disk, then rename over it."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path


def temporary_beside(path: Path) -> Path:
    """A fresh name in the same folder, which readers ignore."""
    return path.with_name(f".tmp-{secrets.token_hex(6)}-{path.name}")


def publish(temporary: Path, target: Path) -> None:
    """Rename a finished file or folder to its name; it is on the disk when this returns."""
    for path in [temporary] if temporary.is_file() else [p for p in temporary.rglob("*") if p.is_file()]:
        _sync(path)
    temporary.replace(target)
    _sync(target.parent)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by a file with this text; a reader sees the old file or the new one, never part of it."""
    temporary = temporary_beside(path)
    try:
        temporary.write_text(text, encoding="utf-8")
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def no_room(error: OSError) -> bool:
    """Whether the disk is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
