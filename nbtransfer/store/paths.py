"""The one place that names the files of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunPaths:
    """A run folder.

    spec.json         recipe and its origin; written once by the launcher
    manifest.jsonl    the task's ordered examples; written once by the launcher
    name.txt          what people call the run; replaced by clients
    images.txt        where the task's images lie now, if they have moved; replaced by clients
    code/NAME.py      custom code that the recipe refers to; written once by the launcher
    lock              held by the worker while it lives
    attempts/N.json   how attempt N of the worker ended; written by the runner
    events.jsonl      the journal; written by the worker, append only
    control/*.json    commands, one file each; written by clients, removed by the worker
    checkpoints/      what a run needs to continue; written by the worker
    snapshots/        the model at the end of each phase; written by the worker
    result/           the model, its scores, predictions and receipt; written by the worker
    heartbeat         touched by the worker while it makes progress
    stalled           seconds without a heartbeat, if too many; written by the runner
    kill              asks the runner to kill its worker; written by clients, removed by the runner
    reserve           disk space for reporting that the disk is full; held by the worker
    log.txt           standard output and error of runner and worker; log.1.txt is the previous log
    """

    root: Path

    @property
    def id(self) -> str:
        return self.root.name

    @property
    def spec(self) -> Path:
        return self.root / "spec.json"

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.jsonl"

    @property
    def name(self) -> Path:
        return self.root / "name.txt"

    @property
    def images(self) -> Path:
        return self.root / "images.txt"

    @property
    def code(self) -> Path:
        return self.root / "code"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def attempts(self) -> Path:
        return self.root / "attempts"

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def control(self) -> Path:
        return self.root / "control"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def snapshots(self) -> Path:
        return self.root / "snapshots"

    @property
    def result(self) -> Path:
        return self.root / "result"

    @property
    def best_model(self) -> Path:
        return self.result / "model"

    @property
    def heartbeat(self) -> Path:
        return self.root / "heartbeat"

    @property
    def stalled(self) -> Path:
        return self.root / "stalled"

    @property
    def kill(self) -> Path:
        return self.root / "kill"

    @property
    def old_log(self) -> Path:
        return self.root / "log.1.txt"

    @property
    def reserve(self) -> Path:
        return self.root / "reserve"

    @property
    def log(self) -> Path:
        return self.root / "log.txt"

    @property
    def folders(self) -> tuple[Path, ...]:
        return (self.code, self.attempts, self.control, self.checkpoints, self.snapshots, self.result)
