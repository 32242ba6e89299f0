"""Explanations from a process of their own: a notebook's kernel should neither load torch nor compete with a worker.

One JSON object a line in each direction. The child ends when its input is closed, or after ten minutes without a question;
the next question starts another. All views of a kernel share one.

    {"run": id, "samples": [["val", 3], …], "target": name or null, "before": moment, run id or null, "after": moment or null,
     "ink": "black"}
    {"ok": true, "png": base64, "caption": …, "header": […], "table": [[…], …], "target": …, "before": …, "after": …}
    {"ok": false, "error": one sentence}
"""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import os
import select
import subprocess
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from nbtransfer.comparison.compare_runs import Comparison, explain
from nbtransfer.comparison.snapshots import BEST, Snapshot
from nbtransfer.errors import NbTransferError
from nbtransfer.jobs.environment import worker_environment
from nbtransfer.jobs.run import attach
from nbtransfer.store.home import home

if TYPE_CHECKING:
    from nbtransfer.core.task import Sample
    from nbtransfer.engine.model.transfer_model import TransferModel
    from nbtransfer.jobs.run import Run

KEPT_MODELS = 3
NICENESS = 5
PATIENCE = 10.0
IDLE_SECONDS = 600.0


class Explainer:
    """Answers questions one at a time; `ask` blocks, so call it from a thread of your own."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None
        self._asking = threading.Lock()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one question, also when something went wrong: then "ok" is false and "error" says what to do."""
        with self._asking:
            # Where runs are is decided here and now: the child was started earlier, perhaps in another folder.
            line = json.dumps({**request, "home": str(home()), "folder": str(Path.cwd())})
            answer, child = self._answer(line)
            if not answer and _reap(child) == os.EX_OK:  # it went home at this very moment, having had nothing to do
                answer, child = self._answer(line)
            if answer:
                reply: dict[str, Any] = json.loads(answer)
                return reply
            return {"ok": False, "error": self._how_it_ended(child)}

    def _answer(self, question: str) -> tuple[str, subprocess.Popen[str]]:
        child = self._child if self._child is not None and self._child.poll() is None else self._start()
        try:
            print(question, file=child.stdin, flush=True)
            line = child.stdout.readline() if child.stdout else ""
            return (line if line.endswith("\n") else ""), child  # half a line is the last of a child that was killed
        except (BrokenPipeError, ValueError):
            return "", child

    def close(self) -> None:
        """End the process, if there is one. A question being answered gets an error."""
        child, self._child = self._child, None
        if child is None:
            return
        child.terminate()
        with self._asking:  # whoever still waits for an answer reads the end of it first
            _reap(child)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> subprocess.Popen[str]:
        if self._child is not None:
            _reap(self._child)
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "nbtransfer.comparison.explainer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=worker_environment(),
            text=True,
            encoding="utf-8",
            start_new_session=True,  # an interrupt of the kernel is not meant for it
        )
        return self._child

    def _how_it_ended(self, child: subprocess.Popen[str]) -> str:
        status = _reap(child)
        self._child = None
        often = " (often: out of memory)" if status == -9 else ""
        return f"the explaining process ended with status {status}{often} before it could answer; ask again"


def _reap(child: subprocess.Popen[str]) -> int:
    """Close its pipes and wait for its end, so that neither a zombie nor an open file is left."""
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    try:
        return child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


@functools.cache
def shared() -> Explainer:
    """The one of this kernel: a process with a framework and models in it is not for every view anew."""
    return Explainer()


class ExplainServer:
    """Answers in the child; keeps the models used last."""

    def __init__(self) -> None:
        self._models: OrderedDict[tuple[str, str, int], TransferModel] = OrderedDict()

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What goes back for one question."""
        try:
            return self._explained(request)
        except NbTransferError as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:  # noqa: BLE001 - the one who asks must get an answer
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(where.filename).name}:{where.lineno}"
            return {"ok": False, "error": f"{type(error).__name__}: {error} ({place}); please report it"}

    def _explained(self, request: Mapping[str, Any]) -> dict[str, Any]:
        os.chdir(request["folder"])
        os.environ["NBTRANSFER_HOME"] = request["home"]
        run = attach(request["run"])
        samples = [_sample(run, split, number) for split, number in request["samples"]]
        before, after = request.get("before"), request.get("after") or BEST
        comparison = explain(run, samples, request.get("target"), before=before, after=after, models=self._model)
        return _reply(comparison, request.get("ink", "black"))

    def _model(self, snapshot: Snapshot) -> TransferModel:
        # A result may be replaced while its run goes on: its age is part of its name.
        folder = snapshot.run.paths.result / "model" if snapshot.name == BEST else snapshot.run.paths.snapshots / snapshot.name
        key = (str(snapshot.run.paths.root), snapshot.name, folder.stat().st_mtime_ns if folder.exists() else 0)
        if key not in self._models:
            self._models[key] = snapshot.model()
        self._models.move_to_end(key)
        while len(self._models) > KEPT_MODELS:
            self._models.popitem(last=False)
        return self._models[key]


def _sample(run: Run, split: Any, number: int) -> Sample:
    samples = list(run.recipe.task.split(split))
    if not 0 <= number < len(samples):
        raise NbTransferError(f"run {run.id} has no {split} image {number}; it has {len(samples)}, counted from 0")
    return samples[number]


def _reply(comparison: Comparison, ink: str) -> dict[str, Any]:
    """The first image is drawn; the table holds all of them."""
    return {
        "ok": True,
        "png": base64.b64encode(comparison.png(0, ink)).decode(),
        "caption": comparison[0].caption(),
        "header": list(comparison.HEADER),
        "table": [list(row) for row in comparison.rows()],
        "target": comparison[0].target,
        "before": comparison.before,
        "after": comparison.after,
    }


def main(questions: IO[str], answers: IO[str], idle: float = IDLE_SECONDS) -> None:
    """Answer until there are no more questions, or none for a while."""
    os.nice(NICENESS)
    desk = ExplainServer()
    # Whoever asks waits for the answer, so that no second line is ever hidden in a buffer.
    while select.select([questions], [], [], idle)[0]:
        line = questions.readline()
        if not line:
            break
        print(json.dumps(desk.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    own = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # Whatever a library prints must not get between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    main(sys.stdin, own)
