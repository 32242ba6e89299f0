"""A run's progress in a notebook: one line, overwritten until it says how the run ended."""

from __future__ import annotations

import sys

from nbtransfer.core.state import RunState
from nbtransfer.jobs.run import Run
from nbtransfer.ui.progress import doing


def watch(run: Run, timeout: float | None) -> RunState:
    """Follow a run until it ends or `timeout` seconds have passed; returns its state then.

    The final line depends only on how the run ended, so a stored notebook can be compared with a new one.
    """
    line = _StatusLine()
    try:
        for state, last in run.follow(timeout):
            if not last:
                line.show(_progress_text(state))
    finally:
        line.clear()
    print(run.verdict)
    return state


def _progress_text(state: RunState) -> str:
    best = f", best validation accuracy {state.best.val_accuracy:.3f}" if state.best else ""
    return f"{state.fraction:.0%} {doing(state)}{best}"


class _StatusLine:
    def __init__(self) -> None:
        self._shown = ""

    def show(self, text: str) -> None:
        if text != self._shown:
            sys.stdout.write(f"\r{text.ljust(len(self._shown))}")
            sys.stdout.flush()
            self._shown = text

    def clear(self) -> None:
        if self._shown:
            sys.stdout.write(f"\r{' ' * len(self._shown)}\r")
