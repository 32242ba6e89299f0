"""A worker shows that it makes progress; its runner notices when it does not."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

SECONDS_BETWEEN = 1.0


class Heart:
    """Touches a file at most once a second. A full disk or a missing folder does no harm."""

    def __init__(self, path: Path) -> None:
        self._path, self._last = path, -SECONDS_BETWEEN
        with contextlib.suppress(OSError):
            path.touch(mode=0o600)

    def beat(self) -> bool:
        """Touch the file if it is time; returns whether it was."""
        now = time.monotonic()
        if now - self._last < SECONDS_BETWEEN:
            return False
        self._last = now
        with contextlib.suppress(OSError):
            os.utime(self._path)
        return True


class Watch:
    """Measures how long a file has not been touched. It looks for changes only, because clocks may be set."""

    def __init__(self, path: Path) -> None:
        self._path, self._since = path, time.monotonic()
        self._seen: int | None = None

    def quiet(self) -> float:
        """Seconds since the last change."""
        now = time.monotonic()
        try:
            touched: int | None = self._path.stat().st_mtime_ns
        except OSError:
            touched = None
        if touched != self._seen:
            self._seen, self._since = touched, now
        return now - self._since
