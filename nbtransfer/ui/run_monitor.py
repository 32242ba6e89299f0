"""`RunMonitor`: a run while it goes on: progress, curves, log, Stop, and what came out."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import traitlets

from nbtransfer.core.evaluation import Evaluation
from nbtransfer.core.state import HistoryRow, RunState
from nbtransfer.core.text import counted
from nbtransfer.errors import InputError
from nbtransfer.jobs.run import Run
from nbtransfer.ui.pictures import data_url, worst_first
from nbtransfer.ui.report import Report
from nbtransfer.ui.series import Series
from nbtransfer.ui.widget import Panel, Shown, module

LOG_LINES, MISTAKES = 30, 8
MOST_CELLS = 20
"""Classes beyond which a confusion matrix cannot be read; per-class scores are shown alone then."""


class RunPart(traitlets.HasTraits):
    """What a widget that shows a run synchronises.

    run        what seldom changes about it: recipe, status, phases, best epoch, notes; empty without a run
    progress   what changes all the time: epoch, share done, seconds left of the phase
    log        the last lines its worker wrote
    result     scores and mistakes, once it has ended

    Curves travel as custom messages that carry only what is new: `{kind: "curves", generation, from, points, rows_from, rows}`.
    """

    run = traitlets.Dict().tag(sync=True)
    progress = traitlets.Dict().tag(sync=True)
    log = traitlets.Unicode().tag(sync=True)
    result = traitlets.Dict().tag(sync=True)

    def watch_run(self, run: Run | None) -> None:
        """Show this run from now on."""
        self._run = run
        self._series = Series(run.paths) if run else None
        self._log_stamp: float | None = None
        self._told: tuple[int, int, tuple[HistoryRow, ...]] = (0, 0, ())
        self._seen: tuple[int, str] | None = None
        self.log, self.result, self.run, self.progress = "", {}, {}, {}
        self.look()

    def look(self) -> None:
        """Tell the browser what is new about the run."""
        if self._run is None or self._series is None:
            return
        state = self._run.state
        if (state.seq, state.status) != self._seen:
            self._seen = (state.seq, state.status)
            self._series.read()
            self.run, self.progress = described(self._run, state), progress_of(state)
            self._send_curves(state)
        self._read_log()
        if state.ended and not self.result and state.evaluations:
            self.result = outcome(self._run, state)

    def curves_from_start(self) -> None:
        """A new view has none of the curves yet."""
        self._told = (0, 0, ())
        if self._run is not None:
            self._send_curves(self._run.state)

    def _send_curves(self, state: RunState) -> None:
        assert self._series is not None
        generation, sent, rows = self._told
        if generation != self._series.generation:
            sent = 0
        same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(rows, state.history, strict=False)))
        new_points, new_rows = self._series.points[sent:], state.history[same:]
        self._told = (self._series.generation, len(self._series.points), state.history)
        if new_points or new_rows or len(rows) > len(state.history) or not sent:
            news = {"generation": self._series.generation, "from": sent, "points": new_points}
            self.send({"kind": "curves", **news, "rows_from": same, "rows": [as_row(row) for row in new_rows]})  # type: ignore[attr-defined]

    def _read_log(self) -> None:
        assert self._run is not None
        try:
            stamp = self._run.paths.log.stat().st_mtime
        except FileNotFoundError:
            return
        if stamp != self._log_stamp:
            self._log_stamp, self.log = stamp, self._run.log(LOG_LINES)

    def stop_run(self) -> str:
        """Ask the worker to stop; returns the run's status before that."""
        if self._run is None:
            raise InputError("there is no run to stop; start one first")
        return self._run.stop().status


class RunMonitor(RunPart, Panel):
    """A run, live: progress with the time left, curves, log, a Stop button, and the result.

    It can be made for a run that has ended too. A while after the run has ended and nobody has touched it any more
    (`report_after` seconds, None for never), it turns into a report that is saved with the notebook.
    """

    _esm = module("dom", "link", "chart", "result", "monitor", "run_monitor")

    def __init__(self, run: Run, *, report_after: float | None = 120.0, **traits: Any) -> None:
        super().__init__(**traits)
        self._ops = {"stop": self.stop_run, "touch": self.touch}
        self._ending = Ending(report_after)
        self.watch_run(run)

    def greet(self, message: Mapping[str, Any]) -> None:  # noqa: ARG002 - all views are told the same
        self.curves_from_start()

    def touch(self) -> None:
        """Somebody is looking."""
        self._ending.postpone()

    def tick(self) -> None:
        self.look()
        self._ending.settle(self)

    def as_html(self) -> str:
        return report_of(self._run)

    def _ipython_display_(self) -> None:
        self._ending.shown.show(self._repr_mimebundle_()[0])

    def __repr__(self) -> str:
        return f"RunMonitor({self._run!r})"


class Ending:
    """Turns a widget into a static report, some time after its run has ended and the last touch.

    A saved notebook keeps no live widget: reopened, it would show an error in its place.
    """

    def __init__(self, after: float | None) -> None:
        self.shown = Shown()
        self._after = after
        self._since: float | None = None

    def postpone(self) -> None:
        """Somebody is at it."""
        self._since = None

    def settle(self, panel: RunMonitor | Any) -> None:
        """Put the report in the widget's place when it is time."""
        if self._after is None or not panel.run.get("ended"):
            self._since = None
        elif self._since is None:
            self._since = time.monotonic()
        elif time.monotonic() - self._since >= self._after:
            self.shown.replace(repr(panel), panel.as_html())


def described(run: Run, state: RunState) -> dict[str, Any]:
    """What seldom changes about a run, as plain data for the browser."""
    p, best = state.prepared, state.best
    return {
        "id": run.id,
        "status": state.status,
        "ended": state.ended or state.status == "lost",
        "message": state.message,
        "recipe": f"{run.task.name} · {run.recipe.backbone} · {run.recipe.strategy_name}",
        "phase": state.phase,
        "phases": [asdict(phase) for phase in p.phases] if p else [],
        "total": p.total if p else 0,
        "device": f"{p.device} ({p.device_name}), {p.precision}, {counted(p.threads, 'thread')}" if p else "",
        "epochs": state.epochs,
        "seconds": state.seconds if state.ended else None,
        "best": as_row(best) if best else None,
        "notes": [*state.warnings, *(f"left out {s.source} ({s.split}): {s.reason}" for s in state.skipped), *_commands(state)],
    }


def progress_of(state: RunState) -> dict[str, Any]:
    """What changes with every step."""
    left = state.phase_seconds_left
    return {
        "epoch": state.progress.epoch if state.progress else len(state.history),
        "fraction": round(state.fraction, 4),
        "left": None if left is None else round(left),
    }


def _commands(state: RunState) -> list[str]:
    return [f"{c.op or 'junk'} from {c.sender or 'nobody'}: {c.message}" for c in state.commands]


def as_row(row: HistoryRow) -> dict[str, Any]:
    """One epoch for a chart; figures as they are read, not as they are stored."""
    plain = {name: float(f"{v:.4g}") if isinstance(v, float) else v for name, v in asdict(row).items()}
    return {**plain, "val_interval": [round(v, 4) for v in row.val_interval]}


def outcome(run: Run, state: RunState) -> dict[str, Any]:
    """Scores, confusion matrix and worst mistakes of a run that has ended."""
    found = run.evaluate()
    wrong = (judged for judged in worst_first(run, found.split) if not judged.right)
    mistakes = [
        {
            "picture": data_url(run.task, judged.sample, 150),
            "said": f"is {judged.truth}, said {judged.guess} ({judged.probability:.2f})",
            "source": judged.sample.source,
        }
        for judged in itertools.islice(wrong, MISTAKES)
    ]
    return {
        "scores": [_score(evaluation) for evaluation in state.evaluations],
        "split": found.split,
        "classes": found.classes,
        "confusion": found.confusion if len(found.classes) <= MOST_CELLS else None,
        "header": found.HEADER,
        "rows": [[str(cell) for cell in row] for row in found.rows()],
        "mistakes": mistakes,
        "wrong": found.examples - found.correct,
        "receipt": _receipt(state),
    }


def _score(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "split": evaluation.split,
        "accuracy": round(evaluation.accuracy, 4),
        "interval": [round(v, 4) for v in evaluation.interval],
        "correct": evaluation.correct,
        "examples": evaluation.examples,
    }


def _receipt(state: RunState) -> str:
    if state.receipt is None or not state.receipt.frozen:
        return "no shared layer was frozen in this run"
    checked = f"{state.receipt.unchanged} of {counted(state.receipt.frozen, 'frozen layer')}"
    return f"{checked} did not change while frozen: parameters and buffers, compared bit for bit"


def report_of(run: Run | None, pictures: Sequence[tuple[bytes, str]] = ()) -> str:
    """A run as static HTML, with pictures (PNG, and whether it was drawn in "black" or "white" ink)."""
    if run is None:
        return "<p>A live view; run this cell to open it.</p>"
    return Report(run.task, {run.recipe.strategy_name: run}).fragment(run, pictures)
