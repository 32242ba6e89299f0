"""What the runner of a worker says about it: that it hangs, and how it ended."""

from __future__ import annotations

import json
from typing import Any

from nbtransfer.core.text.counts import byte_size
from nbtransfer.core.text.durations import duration
from nbtransfer.store.paths import RunPaths


def newest(paths: RunPaths, pid: int | None = None) -> dict[str, Any] | None:
    """What the runner wrote when the newest worker ended; with a `pid`, None until it has written about that one."""
    try:
        files = sorted(paths.attempts.glob("*.json"), key=lambda p: int(p.stem))
        attempt = json.loads(files[-1].read_text(encoding="utf-8")) if files else None
    except (OSError, ValueError):
        return None
    return attempt if attempt and pid in (None, attempt.get("pid")) else None


def how_it_was_lost(paths: RunPaths, pid: int | None) -> str:
    """A sentence on how the worker ended that has no last word in the journal."""
    attempt = newest(paths, pid)
    if attempt is None:
        return "the worker is gone without a word; see the log, resume() goes on"
    if attempt.get("asked"):
        return "the worker was killed because somebody asked for that; resume() goes on"
    if attempt["signal"]:
        peak = byte_size(attempt.get("peak_bytes", 0))
        hint = f" (often: out of memory; it had taken {peak})" if attempt["signal"] == "SIGKILL" else ""
        return f"the worker was ended by {attempt['signal']}{hint}; see the log, resume() goes on"
    return f"the worker ended with status {attempt['exit']} without a word; see the log"


def how_it_hangs(paths: RunPaths) -> str | None:
    """A sentence on a worker that gives no sign of life; None while it gives some."""
    try:
        seconds = int(paths.stalled.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return f"nothing has happened for {duration(seconds)}; the log says where it hangs. kill() ends it, resume() goes on"
