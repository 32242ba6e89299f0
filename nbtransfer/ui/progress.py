"""A run's progress as text: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
from typing import TextIO

from tqdm import tqdm

from nbtransfer.core.state import HistoryRow, RunState
from nbtransfer.core.text.durations import duration
from nbtransfer.jobs.run import Run


def watch(run: Run, label: str = "", timeout: float | None = None, stream: TextIO | None = None) -> RunState:
    """Follow a run until it ends or `timeout` seconds have passed; returns its state then. Leaving early does not stop it."""
    stream = stream or sys.stderr
    shown = _Bar(label or run.id, stream) if stream.isatty() else _Lines(label or run.id, stream)
    try:
        for state, last in run.follow(timeout):
            shown.show(state)
            if last:
                break
    finally:
        shown.close()
    return state


def doing(state: RunState) -> str:
    """What a run is doing, in a few words: its phase, or its status when it is not at work."""
    if not state.phase or state.status != "running":
        return state.status
    made = state.computing
    return f"{state.phase}, computing activations of {made.layer} ({made.done / made.of:.0%})" if made else state.phase


class _Bar:
    def __init__(self, label: str, stream: TextIO) -> None:
        form = "{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining}{postfix}"
        self._bar = tqdm(total=1000, desc=label, file=stream, bar_format=form, dynamic_ncols=True)

    def show(self, state: RunState) -> None:
        parts = [doing(state)]
        if state.progress and not state.computing:
            parts.append(f"epoch {state.progress.epoch}/{state.epochs} loss {state.progress.loss:.3f}")
        if state.best:
            parts.append(f"best {state.best.val_accuracy:.3f}")
        self._bar.set_postfix_str(", ".join(parts), refresh=False)
        self._bar.update(round(state.fraction * 1000) - self._bar.n)
        self._bar.refresh()

    def close(self) -> None:
        self._bar.close()


class _Lines:
    def __init__(self, label: str, stream: TextIO) -> None:
        self._label, self._stream, self._seen = label, stream, 0
        self._computing: str | None = None

    def show(self, state: RunState) -> None:
        if state.computing and state.computing.layer != self._computing:
            self._computing = state.computing.layer
            self._stream.write(
                f"{self._label}: {state.phase}, computing the activations of {self._computing} once for all epochs\n"
            )
        for row in state.history[self._seen :]:
            self._stream.write(f"{self._label}: {_line(row, state)}\n")
        self._seen = len(state.history)
        self._stream.flush()

    def close(self) -> None:
        self._stream.flush()


def _line(row: HistoryRow, state: RunState) -> str:
    mark = " best" if row.best else ""
    return (
        f"{row.phase} epoch {row.epoch}/{state.epochs} loss {row.loss:.4f} accuracy {row.accuracy:.3f} "
        f"val_loss {row.val_loss:.4f} val_accuracy {row.val_accuracy:.3f} {duration(row.seconds)}{mark}"
    )
