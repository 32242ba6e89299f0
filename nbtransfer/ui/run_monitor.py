"""`RunMonitor`: a run while it goes on: progress, curves, log, buttons, and what came out."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import traitlets

from nbtransfer.core.state import HistoryRow, RunState
from nbtransfer.errors import InputError
from nbtransfer.jobs.run import Run
from nbtransfer.ui.ending import Ending
from nbtransfer.ui.report import Report
from nbtransfer.ui.run_facts import as_row, described, outcome, progress_of
from nbtransfer.ui.series import Series
from nbtransfer.ui.widget import Panel, module

LOG_LINES, LOG_SECONDS = 30, 1.0


class RunPart(traitlets.HasTraits):
    """What a widget that shows a run synchronises.

    run      what seldom changes about it: recipe, status, phases, notes; empty without a run
    log      the last lines its worker wrote
    result   scores and mistakes, once it has ended

    What changes all the time travels as one message of its own, at most one a tick: `{kind: "news", progress, from, points,
    rows_from, rows}`. Points of the curves and epochs before `from` and `rows_from` stay as they are.
    """

    run = traitlets.Dict().tag(sync=True)
    log = traitlets.Unicode().tag(sync=True)
    result = traitlets.Dict().tag(sync=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._looking = threading.RLock()  # the pump looks, a request may bring another run, a new view wants all curves

    def watch_run(self, run: Run | None) -> None:
        """Show this run from now on."""
        with self._looking:
            self._watch(run)

    def _watch(self, run: Run | None) -> None:
        self._run = run
        self._series = Series(run.paths) if run else None
        self._log_stamp: float | None = None
        self._log_read = -LOG_SECONDS
        self._told: tuple[int, int, tuple[HistoryRow, ...]] = (0, 0, ())
        self._seen: tuple[int, str] | None = None
        self.log, self.result, self.run = "", {}, {}
        self.look()

    def look(self) -> None:
        """Tell the browser what is new about the run."""
        with self._looking:
            self._look()

    def _look(self) -> None:
        if self._run is None or self._series is None:
            return
        state = self._run.state
        if (state.seq, state.status) != self._seen:
            self._seen = (state.seq, state.status)
            self._series.read()
            self.run = described(self._run, state)
            self._send_news(state)
        if state.ended or time.monotonic() - self._log_read >= LOG_SECONDS:
            self._log_read = time.monotonic()
            self._read_log()
        if state.ended and not self.result and state.evaluations:
            self.result = outcome(self._run, state)

    def news_from_start(self) -> None:
        """A new view has none of the curves yet."""
        with self._looking:
            self._told = (0, 0, ())
            if self._run is not None:
                self._send_news(self._run.state)

    def _send_news(self, state: RunState) -> None:
        assert self._series is not None
        generation, sent, rows = self._told
        if generation != self._series.generation:
            sent = 0
        same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(rows, state.history, strict=False)))
        new_points, new_rows = self._series.points[sent:], state.history[same:]
        self._told = (self._series.generation, len(self._series.points), state.history)
        news = {"progress": progress_of(state), "from": sent, "points": new_points}
        self.send({"kind": "news", **news, "rows_from": same, "rows": [as_row(row) for row in new_rows]})  # type: ignore[attr-defined]

    def _read_log(self) -> None:
        assert self._run is not None
        try:
            stamp = self._run.paths.log.stat().st_mtime
        except FileNotFoundError:
            return
        if stamp != self._log_stamp:
            self._log_stamp, self.log = stamp, self._run.log(LOG_LINES)

    def stop_run(self) -> str:
        """Ask the worker to stop; returns the run's status then."""
        return self._shown().stop().status

    def pause_run(self) -> str:
        """Let the run rest; returns its status then."""
        return self._shown().pause().status

    def resume_run(self) -> str:
        """Let the run go on; returns its status then."""
        return self._shown().resume().status

    def _shown(self) -> Run:
        if self._run is None:
            raise InputError("there is no run here; start one first")
        return self._run


class RunMonitor(RunPart, Panel):
    """A run, live: progress with the time left, curves, log, buttons to pause, resume and stop it, and the result.

    It can be made for a run that has ended too. A while after the run has ended and nobody has touched it any more
    (`report_after` seconds, None for never), it turns into a report that is saved with the notebook.
    """

    _esm = module("dom", "link", "chart", "result", "monitor", "run_monitor")

    def __init__(self, run: Run, *, report_after: float | None = 120.0, **traits: Any) -> None:
        super().__init__(**traits)
        self._ops = {"stop": self.stop_run, "pause": self.pause_run, "resume": self.resume_run, "touch": self.touch}
        self._ending = Ending(report_after)
        self.watch_run(run)

    def greet(self, message: Mapping[str, Any]) -> None:  # noqa: ARG002 - all views are told the same
        self.news_from_start()

    def touch(self) -> None:
        """Somebody is looking."""
        self._ending.postpone()

    def tick(self) -> None:
        self.look()
        self._ending.settle(self)

    def as_html(self) -> str:
        return report_of(self._run)

    def _ipython_display_(self) -> None:
        self._ending.show(self._repr_mimebundle_()[0])

    def __repr__(self) -> str:
        return f"RunMonitor({self._run!r})"


def report_of(run: Run | None, pictures: Sequence[tuple[bytes, str]] = ()) -> str:
    """A run as static HTML, with pictures (PNG, and whether it was drawn in "black" or "white" ink)."""
    if run is None:
        return "<p>No run was started here.</p>"
    return Report(run.task, {run.recipe.strategy_name: run}).fragment(run, pictures)
