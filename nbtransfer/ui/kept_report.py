"""What a live view leaves in a notebook: a static report beneath it, of all the runs it has shown.

A saved notebook keeps no live widget, and JupyterLab shows no other form of an output in its place. So the report is an
output of its own. Its style sheet hides it beside a view that lives.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from IPython import display as ipython

from nbtransfer.core.text.tables import html_table
from nbtransfer.jobs.run import Run
from nbtransfer.ui.report import Report, curves_html, report_css, verdict_html

EVERY = 10.0
"""Seconds from one report to the next while a run goes on."""
HEADER = ("run", "status", "epochs", "best validation accuracy")


def kept_html(runs: Sequence[Run], pictures: Sequence[str] = ()) -> str:
    """Runs as a part of another page: in short while one of them goes on, then everything. `pictures` are SVG."""
    body = "".join(_sections(runs, pictures)) if runs else "<p>No run was started here.</p>"
    return f'<div class="nbtransfer-report nbtransfer-kept"><style>{report_css()}</style>{body}</div>'


def _sections(runs: Sequence[Run], pictures: Sequence[str]) -> Iterator[str]:
    again = f"<code>%transfer attach {escape(runs[-1].id)}</code> shows the newest run live again"
    yield f"<p class=note>This report is what a live view leaves in a notebook; {again}.</p>"
    yield html_table(HEADER, map(_row, runs))
    if any(not run.state.over for run in runs):
        named = _named(runs)
        yield from (verdict_html(run, f"{name}: ") for name, run in named.items())
        yield curves_html(named)
        return
    for task in {run.task.digest: run.task for run in runs}.values():
        yield from Report(task, _named([run for run in runs if run.task.digest == task.digest])).sections()
    if pictures:
        yield "<h2>Shared vs task-specific layers</h2>"
        yield from (f"<figure class=wide>{picture}</figure>" for picture in pictures)


def _row(run: Run) -> tuple[object, ...]:
    state = run.state
    return (
        run.id,
        state.status,
        f"{len(state.history)} of {state.epochs}",
        f"{state.best.val_accuracy:.3f}" if state.best else "–",
    )


def _named(runs: Sequence[Run]) -> dict[str, Run]:
    return {f"{run.recipe.strategy_name}, {run.id}": run for run in runs}


class KeptReport:
    """The report beneath the newest display of a view. `runs` and `pictures` tell what is in it."""

    def __init__(self, runs: Callable[[], Sequence[Run]], pictures: Callable[[], Sequence[str]] = tuple) -> None:
        self._runs, self._pictures = runs, pictures
        self._lock = threading.Lock()  # a cell shows the view again while a report is being written
        self._place: Any = None
        self._written: object = None
        self._next = 0.0
        self._writer: threading.Thread | None = None
        self._error: Exception | None = None

    def show(self, view: Mapping[str, Any]) -> None:
        """Display the forms of a view in the present cell, and the report beneath. Thread: kernel."""
        ipython.display(dict(view), raw=True)  # type: ignore[no-untyped-call]
        with self._lock:
            self._written = self._news()
            # There is no place outside of IPython.
            self._place = ipython.display(self._forms(), raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def update(self) -> None:
        """Have the report written anew when a run began, ended or had an epoch, or a comparison was made. Thread: pump."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        going_on = any(not run.state.over for run in self._runs())
        at_work = self._writer is not None and self._writer.is_alive()
        if self._place is None or at_work or self._news() == self._written or (going_on and time.monotonic() < self._next):
            return
        self._next = time.monotonic() + EVERY
        self._writer = threading.Thread(target=self._write, name="nbtransfer-report", daemon=True)
        self._writer.start()

    def _write(self) -> None:
        """In a thread of its own: images and curves take seconds, in which the pump would tell no view anything."""
        with self._lock:
            self._written = self._news()
            try:
                self._place.update(self._forms(), raw=True)
            except Exception as error:  # noqa: BLE001 - it is raised where the view says what is wrong
                self._error = error

    def _news(self) -> object:
        return [(run.id, run.state.status, len(run.state.history)) for run in self._runs()], list(self._pictures())

    def _forms(self) -> dict[str, str]:
        runs = self._runs()
        text = "\n".join(map(repr, runs)) or "no run was started here"
        return {"text/plain": text, "text/html": kept_html(runs, self._pictures())}
