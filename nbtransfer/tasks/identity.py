"""The identity of a file is its content.

A file is read again unless nothing shows that it may have changed since this process last read it. Its time of modification
alone does not say so: programs keep or set it. A rename, a copy or a write changes the inode or the time of its last change.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import NamedTuple

from nbtransfer.core.formats.run import WITHOUT_DIGEST, without_digest

DIGITS = 32
SETTLED_NS = 2_000_000_000
"""A change within the coarsest tick of a file system's clock leaves no trace; what is older than this has settled."""


class Stamp(NamedTuple):
    """What shows whether a file may have changed: bytes, two times in nanoseconds, and inode."""

    size: int
    modified: int
    changed: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Raises OSError if there is no such file."""
        stat = path.stat()
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)

    @property
    def is_settled(self) -> bool:
        """Whether every later change will show."""
        return self.changed < time.time_ns() - SETTLED_NS


_seen: dict[str, tuple[Stamp, str]] = {}


def digest_of(path: Path) -> str:
    """The leading digits of the sha256 of a file; raises OSError."""
    stamp = Stamp.of(path)
    known = _seen.get(str(path))
    if known is not None and known[0] == stamp:
        return known[1]
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()[:DIGITS]
    if stamp.is_settled:
        _seen[str(path)] = stamp, digest
    return digest


def is_unchanged(path: Path, digest: str) -> bool:
    """Whether a file has the digest in its manifest; raises OSError."""
    if digest.startswith(WITHOUT_DIGEST):
        stamp = Stamp.of(path)
        return digest == without_digest(stamp.size, stamp.modified)
    return digest_of(path) == digest
