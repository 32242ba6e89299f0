"""`RunMonitor`: a run while it goes on: progress, curves, log, buttons, and its result."""

from __future__ import annotations

from typing import Any

import traitlets

from nbtransfer.core.calls import checked_class
from nbtransfer.errors import InputError
from nbtransfer.jobs.run import Run
from nbtransfer.ui.ending import Ending
from nbtransfer.ui.report import report_of
from nbtransfer.ui.run_controller import RunController
from nbtransfer.ui.traits import Empty, ResultFacts, RunFacts
from nbtransfer.ui.widget import Panel, Trait, bundle, synced


@checked_class(InputError)
class RunMonitor(Panel):
    """A run, live: progress with the time left, curves, log, buttons to pause, resume and stop it, and the result.

    It can be made for a run that has ended too. A while after the run has ended and nobody has touched it any more
    (`report_after` seconds, None for never), it turns into a report that is saved with the notebook.
    """

    _esm = bundle("run_monitor")

    run: Trait[RunFacts | Empty] = synced(traitlets.Dict())
    log: Trait[str] = synced(traitlets.Unicode())
    result: Trait[ResultFacts | Empty] = synced(traitlets.Dict())

    def __init__(self, run: Run, *, report_after: float | None = 120.0, **traits: Any) -> None:
        super().__init__(**traits)
        self._ending = Ending(report_after)
        self._controller = RunController(self, run)
        self._operations = {
            "stop": self._controller.stop,
            "pause": self._controller.pause,
            "resume": self._controller.resume,
            "touch": self.touch,
        }

    def greet(self) -> None:
        """Thread: kernel."""
        self._controller.tell_all()

    def touch(self) -> None:
        """Somebody is looking. Thread: request."""
        self._ending.postpone()

    def tick(self) -> None:
        """Thread: pump."""
        self._controller.look()
        self._ending.settle(self)

    def as_html(self) -> str:
        """Thread: any."""
        return report_of(self._controller.run)

    def _ipython_display_(self) -> None:
        self._ending.show(self._repr_mimebundle_()[0])

    def __repr__(self) -> str:
        return f"RunMonitor({self._controller.run!r})"
