"""`RunMonitor`: a run while it goes on: progress, curves, log, buttons, and its result."""

from __future__ import annotations

from typing import Any

import traitlets

from nbtransfer.core.calls import checked_class
from nbtransfer.errors import InputError
from nbtransfer.jobs.run import Run
from nbtransfer.ui.kept_report import KeptReport, kept_html
from nbtransfer.ui.run_controller import RunController
from nbtransfer.ui.traits import Empty, ResultFacts, RunFacts
from nbtransfer.ui.widget import Panel, Trait, bundle, synced


@checked_class(InputError)
class RunMonitor(Panel):
    """A run, live: progress with the time left, curves, log, buttons to pause, resume and stop it, and the result.

    It can be made for a run that has ended too. A report lies beneath it, which a saved notebook keeps.
    """

    _esm = bundle("run_monitor")

    run: Trait[RunFacts | Empty] = synced(traitlets.Dict())
    log: Trait[str] = synced(traitlets.Unicode())
    result: Trait[ResultFacts | Empty] = synced(traitlets.Dict())

    def __init__(self, run: Run, **traits: Any) -> None:
        super().__init__(**traits)
        self._controller = RunController(self, run)
        self._kept = KeptReport(lambda: self._controller.shown)
        self._operations = {
            "stop": self._controller.stop,
            "pause": self._controller.pause,
            "resume": self._controller.resume,
        }

    def greet(self) -> None:
        """Thread: kernel."""
        self._controller.tell_all()

    def tick(self) -> None:
        """Thread: pump."""
        self._controller.look()
        self._kept.update()

    def as_html(self) -> str:
        """Thread: any."""
        return kept_html(self._controller.shown)

    def _ipython_display_(self) -> None:
        self._kept.show(self._repr_mimebundle_()[0])

    def __repr__(self) -> str:
        return f"RunMonitor({self._controller.run!r})"
