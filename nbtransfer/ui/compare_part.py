"""The comparison view of the dashboard: an image, a class and two moments to choose; computed in a process of its own."""

from __future__ import annotations

import base64
import itertools
import threading
from collections.abc import Mapping
from typing import Any

import traitlets

from nbtransfer.comparison import client, snapshots
from nbtransfer.errors import InputError, RunError
from nbtransfer.jobs.run import Run
from nbtransfer.ui.pictures import worst_first

MOST_IMAGES, KEPT_PICTURES = 200, 3


class ComparePart(traitlets.HasTraits):
    """What a widget needs that compares shared and task-specific layers before and after a run."""

    _run: Run | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._asked = itertools.count(1)
        self._newest = 0
        self._answering = threading.Lock()
        self.pictures: list[tuple[bytes, str]] = []

    def moments(self) -> dict[str, Any]:
        """What there is to choose from: moments, images (mistakes first) and classes."""
        run = self._ended_run()
        split = run.evaluate().split
        judged = itertools.islice(worst_first(run, split), MOST_IMAGES)
        return {
            "before": [_named(run, name) for name in snapshots.names_before(run) if name != snapshots.BEST],
            "after": [_named(run, name) for name in snapshots.names(run) if name != snapshots.START],
            "classes": run.task.classes,
            "images": [
                {"sample": [split, j.number], "text": f"{j.sample.source}: is {j.truth}, said {j.guess}", "right": j.right}
                for j in judged
            ],
        }

    def explain(self, **asked: Any) -> Mapping[str, Any]:
        """Compare; the picture comes as base64 text of a PNG. Of questions that wait only the newest is answered."""
        run = self._ended_run()
        self._newest = mine = next(self._asked)
        with self._answering:
            if mine != self._newest:
                raise InputError("another picture was asked for meanwhile")
            reply = client.shared_explainer().ask({"run": run.id, **asked})
        if not reply["ok"]:
            raise InputError(reply["error"])
        if run is self._run:
            self.pictures = [*self.pictures, (base64.b64decode(reply["png"]), asked.get("ink", "black"))][-KEPT_PICTURES:]
        return reply

    def _ended_run(self) -> Run:
        if self._run is None:
            raise RunError("there is nothing to compare yet; start a run and wait for its end")
        return self._run


def _named(run: Run, name: str) -> tuple[str, str]:
    """A moment of a run, or the id of a probe, and what it is called for people."""
    words = {snapshots.START: "start: pretrained layers, a head of zeros", snapshots.BEST: "the model of this run"}
    if name in words:
        return name, words[name]
    return name, f"after phase {name.partition('-')[2]}" if name in snapshots.names(run) else f"linear probe {name}"
