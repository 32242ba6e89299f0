"""Comparisons of shared and task-specific layers before and after a run; computed in a separate process."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from typing import Any, Unpack

from nbtransfer.comparison import client, snapshots
from nbtransfer.errors import InputError, RunError
from nbtransfer.jobs.run import Run
from nbtransfer.ui.messages import ComparisonChoices, ExampleChoice, Explanation, Question
from nbtransfer.ui.pictures import Judged, worst_first
from nbtransfer.ui.traits import NamedChoice

MOST_IMAGES, KEPT_PICTURES = 200, 3


class ComparisonController:
    """Answers what can be compared in the run that `shown` returns, and compares. `pictures` are the newest, as SVG."""

    def __init__(self, shown: Callable[[], Run | None]) -> None:
        self._shown = shown
        self._numbers = itertools.count(1)
        self._newest = 0
        self._answering = threading.Lock()
        self._keeping = threading.Lock()
        self.pictures: list[str] = []

    def clear(self) -> None:
        """Forget all pictures: another run is shown by now. Thread: any."""
        with self._keeping:
            self.pictures = []

    def choices(self) -> ComparisonChoices:
        """Snapshots, images (mistakes first) and classes to choose from. Thread: request."""
        run = self._run()
        split = run.evaluate().split
        judged = itertools.islice(worst_first(run, split), MOST_IMAGES)
        return {
            "before": [_named(run, name) for name in snapshots.names_before(run) if name != snapshots.BEST],
            "after": [_named(run, name) for name in snapshots.names(run) if name != snapshots.START],
            "classes": list(run.task.classes),
            "images": [_example(split, one) for one in judged],
        }

    def explain(self, **question: Unpack[Question]) -> Explanation:
        """Compare. Of questions that wait only the newest is answered. Thread: request."""
        run = self._run()
        self._newest = mine = next(self._numbers)
        with self._answering:
            if mine != self._newest:
                raise InputError("this comparison was replaced by a newer one")
            reply = client.shared_explainer().ask({"run": run.id, **question})
        if not reply["ok"]:
            raise InputError(reply["error"])
        self._keep(run, reply["svg"])
        return _explanation(reply)

    def _keep(self, run: Run, svg: str) -> None:
        with self._keeping:
            if run is self._shown():
                self.pictures = [*self.pictures, svg][-KEPT_PICTURES:]

    def _run(self) -> Run:
        run = self._shown()
        if run is None:
            raise RunError("there is nothing to compare yet; start a run and wait for it to end")
        return run


def _example(split: str, judged: Judged) -> ExampleChoice:
    return {"sample": (split, judged.number), "text": f"{judged.sample.source}: {judged.answer}", "right": judged.right}


def _explanation(reply: Mapping[str, Any]) -> Explanation:
    return {"svg": reply["svg"], "caption": reply["caption"], "header": reply["header"], "table": reply["table"]}


def _named(run: Run, name: str) -> NamedChoice:
    """A snapshot of a run, or the id of a linear probe, and what it is called for people."""
    words = {snapshots.START: "start: pretrained layers, a head of zeros", snapshots.BEST: "best model of this run"}
    if name in words:
        return name, words[name]
    return name, f"after phase {name.partition('-')[2]}" if name in snapshots.names(run) else f"linear probe {name}"
