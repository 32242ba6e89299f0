"""What a runner reports about its worker: that it stalls, and how it ended."""

from __future__ import annotations

import json
from typing import Any

from nbtransfer.core.text.counts import byte_size
from nbtransfer.core.text.durations import duration
from nbtransfer.store.paths import RunPaths


def newest(paths: RunPaths, pid: int | None = None) -> dict[str, Any] | None:
    """The report on the newest worker that ended; with a `pid`, None until there is one on that process."""
    try:
        files = sorted(paths.attempts.glob("*.json"), key=lambda p: int(p.stem))
        report = json.loads(files[-1].read_text(encoding="utf-8")) if files else None
    except (OSError, ValueError):
        return None
    return report if report and pid in (None, report.get("pid")) else None


def loss_message(paths: RunPaths, pid: int | None) -> str:
    """How a worker ended that did not write a last event, and what to do."""
    report = newest(paths, pid)
    if report is None:
        return "the worker exited without reporting; see the log, or call resume() to continue"
    if report.get("asked"):
        return "the worker was killed on request; call resume() to continue"
    if report["signal"]:
        peak = byte_size(report.get("peak_bytes", 0))
        hint = f" (often out of memory; peak use was {peak})" if report["signal"] == "SIGKILL" else ""
        return f"the worker was killed by {report['signal']}{hint}; see the log, or call resume() to continue"
    return f"the worker exited with status {report['exit']} without reporting; see the log"


def stall_message(paths: RunPaths) -> str | None:
    """What to do about a worker without a heartbeat; None while it has one."""
    try:
        seconds = int(paths.stalled.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return f"no progress for {duration(seconds)}; the log shows where it hangs. kill() ends it, resume() continues"
