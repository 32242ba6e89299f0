"""`Run`: what a user holds. Reads the run folder, sends commands; owns nothing, so any number of them may exist."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtransfer.core.codec import from_plain
from nbtransfer.core.evaluation import Evaluation
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.state import RunState, fold
from nbtransfer.core.training_plan import TrainingPlan, check, merged
from nbtransfer.core.tree import cover, frozen_in
from nbtransfer.errors import RunError
from nbtransfer.jobs import exit_reports, run_commands
from nbtransfer.jobs.history import History
from nbtransfer.pretrained.listing import backbone
from nbtransfer.store import log, runs
from nbtransfer.store.journal import JournalReader
from nbtransfer.store.lock import is_held
from nbtransfer.store.paths import RunPaths
from nbtransfer.tasks.task import Task
from nbtransfer.usercode import trusted

if TYPE_CHECKING:
    from nbtransfer.engine.handoff.predict import Answer
    from nbtransfer.engine.model.transfer_model import TransferModel

POLL_SECONDS = 0.1
START_SECONDS = 20.0
WORD_SECONDS = 2.0
"""How long after the end of a worker its runner may take to say how it ended."""


class Run:
    """A handle on one run. Make it with `nbtransfer.start` or `nbtransfer.attach`."""

    def __init__(self, paths: RunPaths) -> None:
        self.paths = paths
        self._reader = JournalReader(paths.events, passing=0)
        self._state = RunState()
        self._recipe: Recipe | None = None
        self._reading = threading.Lock()  # a dashboard's thread and a cell may share one handle

    @property
    def id(self) -> str:
        return self.paths.id

    @property
    def recipe(self) -> Recipe:
        """What this run carries out."""
        if self._recipe is None:
            recipe = runs.read_recipe(self.paths)
            self._recipe = replace(recipe, task=Task.of(recipe.task))
        return self._recipe

    @property
    def task(self) -> Task:
        """The target task it learns."""
        task = self.recipe.task
        assert isinstance(task, Task)
        return task

    @property
    def seen(self) -> int | None:
        """The number of the newest event that this handle has shown; None before the first look."""
        return self._state.seq if self._state.seq >= 0 else None

    @property
    def state(self) -> RunState:
        """The run now. Reads only what was written since the last look."""
        with self._reading:
            return self._look()

    def _look(self) -> RunState:
        while True:
            held, seen = is_held(self.paths.lock), self._state.seq
            self._state = fold(self._reader.read(), self._state)
            left = self._state.waits is not None and self._state.waits.left
            if held and (quiet := exit_reports.how_it_hangs(self.paths)):
                return replace(self._state, status="stalled", message=quiet)
            if held or self._state.ended or left or not self._is_over():
                return self._state
            # A worker may have begun or ended between the two looks. Then there is news in the journal: look again.
            if self._state.seq == seen and not is_held(self.paths.lock):
                self._age()  # raises when the folder is gone, too
                return replace(self._state, status="lost", message=exit_reports.how_it_was_lost(self.paths, self._state.pid))

    def history(self) -> History:
        """One row for each epoch so far: phase, epoch, step, loss, accuracy, validation, learning rate, seconds."""
        return History(self.state.history)

    def wait(self, timeout: float | None = None) -> RunState:
        """Wait until the run has ended, or for `timeout` seconds; returns its state then."""
        return next(state for state, last in self.follow(timeout) if last)

    def follow(self, timeout: float | None = None) -> Iterator[tuple[RunState, bool]]:
        """The state each time it has changed, and whether it is the last one: the run ended, or `timeout` seconds passed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        seen = None
        while True:
            state = self.state
            if state.status == "lost" and seen is not None:  # it was alive a moment ago
                state = self._explained()
            last = state.over or (deadline is not None and time.monotonic() >= deadline)
            news = state.seq, state.status  # that it stalls is not in the journal
            if last or news != seen:
                yield state, last
            if last:
                return
            seen = news
            time.sleep(POLL_SECONDS)

    def _explained(self) -> RunState:
        """The state once the runner has said how its worker was lost, or has had the time to."""
        deadline = time.monotonic() + WORD_SECONDS
        while exit_reports.newest(self.paths, self._state.pid) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.state

    def pause(self) -> RunState:
        """Let it rest after the present step, with everything on the disk. After ten minutes its memory is given back, too."""
        return run_commands.ask(self, "pause")

    def resume(self) -> RunState:
        """Let it go on: from where it was paused, or from its newest checkpoint if it was stopped, failed or lost.

        It ends with the weights it would have had without the interruption, bit for bit. A finished run is left alone.
        """
        return run_commands.resume(self)

    def stop(self) -> RunState:
        """End it after the present step and keep the best model so far. A run that has ended is left alone."""
        return run_commands.stop(self)

    def kill(self) -> None:
        """End its worker at once, also one that hangs. What was not on the disk yet is done again after `resume`."""
        if is_held(self.paths.lock):
            self.paths.kill.touch(mode=0o600)

    def checkpoint(self) -> RunState:
        """Put everything onto the disk after the present step."""
        return run_commands.ask(self, "checkpoint")

    def freeze(self, *layers: str) -> RunState:
        """Let these layers or stages learn no longer, from the next step on and in later phases too.

        Raises PlanError when there is no such layer, RunError when somebody else has changed the run since you looked.
        """
        return self._replanned("freeze", layers)

    def thaw(self, *layers: str, lr: float | None = None) -> RunState:
        """Let these layers or stages learn, from the next step on, `lr` times as fast as the head. Raises like `freeze`."""
        return self._replanned("thaw", layers, **({} if lr is None else {"lr": lr}))

    def set_lr(self, lr: float) -> RunState:
        """Another peak learning rate for the present phase; its schedule goes on from where it is. Raises like `freeze`."""
        return self._changed("set_lr", lr=lr)

    def set_epochs(self, epochs: int) -> RunState:
        """Another length of the run, all phases together: its last phase gets longer or shorter. Raises like `freeze`."""
        return self._changed("set_epochs", epochs=epochs)

    @property
    def plan(self) -> FreezePlan:
        """The freeze plan in force now; before the first phase and after the last one, that of the nearest."""
        state = self.state
        course = TrainingPlan(self.recipe, backbone(self.recipe.backbone))
        names = [phase.name for phase in course.phases]
        phase = names.index(state.phase) if state.phase in names else 0
        repeated = (c for c in runs.read_repeat(self.paths).changes if (c.phase, c.step) <= (phase, state.step))
        for change in merged(repeated, state.changes):
            if change.op != "stop":
                course.apply(change)
        return course.phases[phase].plan

    def replan(self, plan: FreezePlan) -> RunState:
        """Let just those layers learn that do under `plan`, from the next step on and in later phases. Raises like `freeze`."""
        card = backbone(self.recipe.backbone)
        return self._changed("replan", frozen=list(cover(card, frozen_in(card, plan))))

    def _replanned(self, op: str, layers: tuple[str, ...], **arguments: Any) -> RunState:
        names = FreezePlan().freeze(*layers)
        names.resolve(backbone(self.recipe.backbone))
        return self._changed(op, layers=list(layers), **arguments)

    def _changed(self, op: str, **arguments: Any) -> RunState:
        check(op, arguments)
        return run_commands.ask(self, op, heed=True, **arguments)

    def trust_code(self) -> None:
        """Let the code of the user's own that came with this run, `run.recipe.code`, run under this account from now on.

        Read it first. What was written with `%%transfer_code` here is trusted already. Raises CodeError when it was edited.
        """
        trusted.trust(self.recipe.code)

    def log(self, lines: int = 40) -> str:
        """The last lines the worker wrote to its log."""
        return log.tail(self.paths, lines)

    def evaluate(self, split: str | None = None) -> Evaluation:
        """Scores of the best model on "val" or "test" (the default where the task has one). Raises RunError before the end."""
        state = self.state
        split = split or ("test" if state.evaluation("test") else "val")
        found = state.evaluation(split)
        if found is None:
            raise RunError(f"run {self.id} is {state.status} and has no scores on {split!r}; wait for its end, or see its log")
        return found

    def receipt(self) -> dict[str, str]:
        """For every layer that was frozen in some phase: "unchanged, checked", perhaps with the phase, or "CHANGED"."""
        return from_plain(dict[str, str], self._result("receipt.json"))

    def predictions(self, split: str = "val") -> list[tuple[int, int, list[float]]]:
        """For each image of a split its number in that split, its label, and the probability of each class."""
        try:
            text = (self.paths.result / f"predictions-{split}.jsonl").read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise self._no_result() from error
        return [tuple(json.loads(line)) for line in text.splitlines()]

    def model(self) -> TransferModel:
        """The best model, in evaluation mode on the CPU, with its preprocessing and classes."""
        from nbtransfer.engine.checkpoints import result  # loads torch

        return result.load(self.paths, self.recipe)

    def predict(self, images: Any) -> list[Answer]:
        """What the best model says about images: paths, PIL images or uint8 arrays (H, W, 3), one or many."""
        from nbtransfer.engine.handoff.predict import predict  # loads torch

        return predict(self.model(), images)

    def export(self, folder: str | os.PathLike[str]) -> Path:
        """Write the best model to a new folder that others can use; see `nbtransfer.load_model`."""
        from nbtransfer.engine.handoff.export import export  # loads torch

        return export(self.model(), self.recipe, self.state.evaluations, folder)

    def _result(self, name: str) -> Any:
        try:
            return json.loads((self.paths.result / name).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise self._no_result() from error

    def _no_result(self) -> RunError:
        return RunError(f"run {self.id} is {self.state.status} and has no result; wait for its end, or see its log")

    def _is_over(self) -> bool:
        """Nobody holds the lock and there is no last word. A run that has not begun yet gets some time to."""
        return self._state.seq >= 0 or exit_reports.newest(self.paths) is not None or self._age() > START_SECONDS

    def _age(self) -> float:
        try:
            return time.time() - self.paths.spec.stat().st_mtime
        except FileNotFoundError as error:
            raise RunError(f"run {self.id} is gone; its folder was removed") from error

    def __repr__(self) -> str:
        state = self.state
        done = f", epoch {len(state.history)} of {state.epochs}" if state.epochs else ""
        best = f", best validation accuracy {state.best.val_accuracy:.3f}" if state.best else ""
        return f"Run({self.id!r}, {state.status}{done}{best})"


def attach(run_id: str) -> Run:
    """A handle on a run that was started anywhere, by its id or an unambiguous part of its beginning or end."""
    return Run(runs.open_run(run_id))
