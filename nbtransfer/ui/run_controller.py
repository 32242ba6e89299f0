"""The run that a widget shows: looks for news about it, and carries out what people ask of it."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.recipe import Recipe
from nbtransfer.errors import InputError, RunError
from nbtransfer.jobs.launcher import start
from nbtransfer.jobs.run import Run
from nbtransfer.ui.messages import ToPage
from nbtransfer.ui.news import NewsFeed
from nbtransfer.ui.run_facts import result_facts, run_facts
from nbtransfer.ui.traits import Empty, ResultFacts, RunFacts

LOG_LINES, LOG_SECONDS = 30, 1.0


class RunPage(Protocol):
    """What the controller sees of its widget."""

    run: RunFacts | Empty
    log: str
    result: ResultFacts | Empty

    def tell(self, message: ToPage) -> None: ...


class RunController:
    """Shows a run in the traits `run`, `log` and `result`, and tells of its curves in one message a tick at most.

    `shown` are all runs it has shown, the newest last.
    """

    def __init__(self, page: RunPage, run: Run | None = None) -> None:
        self._page = page
        self.shown: list[Run] = []
        self._lock = threading.RLock()  # the pump looks, a request may bring another run, a new view wants all curves
        self.watch(run)

    @property
    def run(self) -> Run | None:
        """The run shown. Thread: any."""
        return self._run

    def watch(self, run: Run | None) -> None:
        """Show this run from now on. Thread: any."""
        with self._lock:
            self._run = run
            if run and run not in self.shown:
                self.shown = [*self.shown, run]
            self._feed = NewsFeed(run.paths) if run else None
            self._log = _LogTail(run) if run else None
            self._seen: tuple[int, str] | None = None
            self._page.log, self._page.result, self._page.run = "", {}, {}
            self.look()

    def look(self) -> None:
        """Tell the page what is new about the run. Thread: any; while there is a view, the pump."""
        with self._lock:
            if self._run is None or self._feed is None or self._log is None:
                return
            state = self._run.state
            if (state.seq, state.status) != self._seen:
                self._seen = (state.seq, state.status)
                self._feed.read()
                self._page.run = run_facts(self._run, state)
                self._page.tell(self._feed.news(state))
            self._page.log = self._log.text(at_once=state.ended)
            if not state.ended:
                self._page.result = {}  # it goes on, and what it came to before is over
            elif not self._page.result and state.evaluations:
                self._page.result = result_facts(self._run, state)

    def tell_all(self) -> None:
        """Tell the page everything once more, for a new view. Thread: kernel."""
        with self._lock:
            if self._run is not None and self._feed is not None:
                self._feed.forget()
                self._page.tell(self._feed.news(self._run.state))

    def start(self, recipe: Recipe) -> Run:
        """Start a run and show it; raises RunError while the one shown goes on. Thread: request."""
        with self._lock:  # two views of one widget may press Start at the same time
            if self._run is not None and not self._run.state.over:
                raise RunError(f"run {self._run.id} is still in progress; stop it first, or wait for it to end")
            run = start(recipe)
            self.watch(run)
        return run

    def stop(self) -> str:
        """Stop the run shown; returns its status then. Thread: request."""
        return self._shown().stop().status

    def pause(self) -> str:
        """Pause the run shown; returns its status then. Thread: request."""
        return self._shown().pause().status

    def resume(self) -> str:
        """Resume the run shown; returns its status then. Thread: request."""
        return self._shown().resume().status

    def replan(self, plan: FreezePlan, backbone: str) -> str:
        """Give the run shown another freeze plan of this backbone; returns its status then. Thread: request."""
        run = self._shown()
        if run.recipe.backbone != backbone:
            raise InputError(f"run {run.id} uses {run.recipe.backbone}; choose that backbone to change the run")
        return run.replan(plan).status

    def _shown(self) -> Run:
        if self._run is None:
            raise InputError("there is no run here yet; start one first")
        return self._run


class _LogTail:
    """The last lines of a run's log, read again at most once a second, and only when the file has changed."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._text = ""
        self._stamp: float | None = None
        self._looked = -LOG_SECONDS

    def text(self, *, at_once: bool) -> str:
        if at_once or time.monotonic() - self._looked >= LOG_SECONDS:
            self._looked = time.monotonic()
            self._read()
        return self._text

    def _read(self) -> None:
        try:
            stamp = self._run.paths.log.stat().st_mtime
        except FileNotFoundError:
            return
        if stamp != self._stamp:
            self._stamp, self._text = stamp, self._run.log(LOG_LINES)
