"""`python -m nbtransfer.comparison.server`: explain runs on request, in a process of its own.

One JSON object per line in each direction. The figure travels inside it as the text of an SVG element.

    {"run": id, "samples": [["val", 3], …], "target": class or null, "before": snapshot, run id or null,
     "after": snapshot or null, "narrow": false, "home": folder of the runs, "folder": working folder}
    {"ok": true, "svg": …, "caption": …, "header": […], "table": [[…], …], "target": …, "before": …, "after": …}
    {"ok": false, "error": one sentence}
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from nbtransfer.comparison.compare_runs import Comparison, explain_with
from nbtransfer.comparison.snapshots import BEST, Snapshot
from nbtransfer.core.task import Sample
from nbtransfer.errors import InputError, NbTransferError
from nbtransfer.jobs import child
from nbtransfer.jobs.run import Run, open_run

if TYPE_CHECKING:
    from nbtransfer.engine.model.transfer_model import TransferModel

KEPT_MODELS = 3


class ModelCache:
    """The models of the snapshots used last."""

    def __init__(self, most: int = KEPT_MODELS) -> None:
        self._models: OrderedDict[Hashable, TransferModel] = OrderedDict()
        self._most = most

    def __len__(self) -> int:
        return len(self._models)

    def load(self, snapshot: Snapshot) -> TransferModel:
        """The model of a snapshot, loaded unless it is here already."""
        key = snapshot.key
        if key not in self._models:
            self._models[key] = snapshot.model()
        self._models.move_to_end(key)
        while len(self._models) > self._most:
            self._models.popitem(last=False)
        return self._models[key]


class ExplainServer:
    """Answers questions, and keeps the models it needed last."""

    def __init__(self) -> None:
        self.models = ModelCache()

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to one question, whatever happens."""
        try:
            return _reply(self._explain(request), narrow=bool(request.get("narrow")))
        except NbTransferError as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:  # noqa: BLE001 - the client waits for an answer
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(where.filename).name}:{where.lineno}"
            return {"ok": False, "error": f"{type(error).__name__}: {error} ({place}); please report it"}

    def _explain(self, request: Mapping[str, Any]) -> Comparison:
        os.chdir(request["folder"])
        os.environ["NBTRANSFER_HOME"] = request["home"]
        run = open_run(request["run"])
        samples = [_sample(run, split, number) for split, number in request["samples"]]
        before, after = request.get("before"), request.get("after") or BEST
        return explain_with(self.models.load, run, samples, request.get("target"), before=before, after=after)


def _sample(run: Run, split: Any, number: int) -> Sample:
    samples = list(run.recipe.task.split(split))
    if not 0 <= number < len(samples):
        raise InputError(f"run {run.id} has no {split} image {number}; it has {len(samples)}, counted from 0")
    return samples[number]


def _reply(comparison: Comparison, *, narrow: bool) -> dict[str, Any]:
    """The figure shows the first image; the table holds all of them."""
    return {
        "ok": True,
        "svg": comparison.svg(0, narrow=narrow),
        "caption": comparison[0].caption(),
        "header": list(comparison.HEADER),
        "table": [list(row) for row in comparison.rows()],
        "target": comparison[0].target,
        "before": comparison.before,
        "after": comparison.after,
    }


def serve(questions: IO[str], answers: IO[str], idle: float = child.IDLE_SECONDS) -> None:
    """Answer until the input ends or stays idle."""
    child.lower_priority()
    server = ExplainServer()
    # The client waits for each answer, so the stream's buffer never holds a second line.
    while child.wait_for_input(questions, idle):
        line = questions.readline()
        if not line:
            break
        print(json.dumps(server.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # Anything a library prints must stay out of the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin, pipe)
