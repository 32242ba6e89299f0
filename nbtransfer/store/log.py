"""The log of a run: the output of its runner and worker."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import deque

from nbtransfer.store.paths import RunPaths

MOST_BYTES = 5 * 2**20


def rotate(paths: RunPaths, most: int = MOST_BYTES) -> None:
    """Start a new log if this process' output has made the present one too long; the last one is kept beside it."""
    with contextlib.suppress(OSError):  # a log is not worth failing a run
        if os.fstat(1).st_size < most or not os.path.samestat(os.fstat(1), paths.log.stat()):
            return
        sys.stdout.flush()
        paths.log.replace(paths.old_log)
        descriptor = os.open(paths.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)


def tail(paths: RunPaths, lines: int) -> str:
    """The last lines."""
    kept: deque[str] = deque(maxlen=max(lines, 0))
    for path in (paths.old_log, paths.log):
        with contextlib.suppress(OSError), path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - MOST_BYTES))
            kept.extend(stream.read(2 * MOST_BYTES).decode("utf-8", "replace").splitlines())
    return "\n".join(kept)
