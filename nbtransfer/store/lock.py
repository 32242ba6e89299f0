"""The worker's lock: a POSIX record lock, which the kernel releases when its process dies.

A process number says less: it may belong to a zombie, or to another process by now. Forked children do not inherit
record locks, so a loader process that outlives its worker does not keep the lock. The lock is lost when *any* descriptor
of the file is closed in its process, so the holder opens the file exactly once.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

from nbtransfer.errors import RunError


class RunLock:
    """The right to write to a run folder, held until the process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def acquire(self, patience: float = 1.0) -> bool:
        """Take the lock; False if another process holds it for longer than `patience` seconds (readers probe it briefly)."""
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                _check_supported(error)
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.02)
            else:
                return True

    @property
    def in_place(self) -> bool:
        """Whether the file still has its name: once it is removed, others lock a new one."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        os.close(self._descriptor)


def is_held(path: Path) -> bool:
    """Whether another process holds the lock. Never call this in the process that holds it."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        _check_supported(error)
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _check_supported(error: OSError) -> None:
    if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
        raise RunError(
            f"this file system has no file locks ({error.strerror}); set NBTRANSFER_HOME to a folder on a local disk"
        ) from error
