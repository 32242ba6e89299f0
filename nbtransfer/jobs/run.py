"""`Run`: the handle a user holds. It owns nothing, so any number of handles on one run may exist."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.calls import checked, checked_class
from nbtransfer.core.evaluation import Evaluation
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.state import RunState
from nbtransfer.core.strategy import Phase
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.training_plan import phases_at
from nbtransfer.core.verdict import Verdict, verdict
from nbtransfer.errors import InputError
from nbtransfer.jobs import own_runs, run_commands, run_results
from nbtransfer.jobs.history import History
from nbtransfer.jobs.kept_model import KeptModel
from nbtransfer.jobs.run_reader import RunReader
from nbtransfer.pretrained.cards import card_of
from nbtransfer.store import find_run, log, run_names, runs
from nbtransfer.store.paths import RunPaths
from nbtransfer.tasks.task import Task
from nbtransfer.usercode import trusted

if TYPE_CHECKING:
    from nbtransfer.engine.handoff.answers import Answers
    from nbtransfer.engine.model.transfer_model import TransferModel


@checked_class(InputError, name="run", making=False)
class Run:
    """A handle on one run. Make it with `nbtransfer.start` or `nbtransfer.attach`."""

    def __init__(self, paths: RunPaths) -> None:
        if not isinstance(paths, RunPaths):
            raise InputError("a Run cannot be created directly; use nt.start(recipe), or nt.attach(id)")
        self.paths = paths
        self._reader = RunReader(paths)
        self._kept = KeptModel()
        self._recipe: Recipe | None = None

    @property
    def id(self) -> str:
        return self.paths.id

    @property
    def name(self) -> str:
        """What people call it; empty if it has no name."""
        return run_names.read(self.paths)

    def rename(self, name: str) -> None:
        """Give it a name, by which it is found wherever an id is taken; an empty one removes the name.

        Printable, without slashes, at most 80 characters, and of no other run. Raises InputError.
        """
        run_names.write(self.paths, name)

    def at(self, place: str | os.PathLike[str]) -> Run:
        """A handle on this run with its images in another place, where they lie now; every process will find them there.

        The content of every image is compared. Raises TaskError if one is missing or another.
        """
        runs.move_images(self.paths, self.task.at(place).root)
        self._recipe = None
        return Run(self.paths)

    def delete(self) -> None:
        """Remove the run with its model, scores and checkpoints for good. Raises RunError while it is in progress."""
        run_commands.delete(self._reader)

    @property
    def recipe(self) -> Recipe:
        """What this run carries out."""
        if self._recipe is None:
            recipe = runs.read_recipe(self.paths)
            self._recipe = replace(recipe, task=Task.of(recipe.task))
        return self._recipe

    @property
    def task(self) -> Task:
        """The target task."""
        task = self.recipe.task
        assert isinstance(task, Task)
        return task

    @property
    def _card(self) -> BackboneCard:
        return card_of(self.recipe)

    # State

    @property
    def seen(self) -> int | None:
        """The number of the newest event that this handle has read; None before the first one."""
        return self._reader.seen

    @property
    def state(self) -> RunState:
        """The run now. Reads only what was written since the last call."""
        return self._reader.state

    @property
    def plan(self) -> FreezePlan:
        """The freeze plan in force now; before the first phase and after the last one, that of the nearest."""
        phases = self.phases
        return phases[min(max(self.state.phase_index, 0), len(phases) - 1)].plan

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases as they are planned now, with all changes made so far."""
        state, repeated = self.state, runs.read_repeat(self.paths).changes
        return phases_at(self.recipe, self._card, state.phase_index, state.step, made=state.changes, repeated=repeated)

    @property
    def verdict(self) -> Verdict:
        """How the run went: status and score, how many of how many images, what is missing, what to distrust."""
        return verdict(self.state, self.task)

    def history(self) -> History:
        """One row for each epoch so far: phase, epoch, step, loss, accuracy, validation, learning rate, seconds."""
        return History(self.state.history)

    def log(self, lines: int = 40) -> str:
        """The last lines the worker wrote to its log."""
        return log.tail(self.paths, lines)

    def wait(self, timeout: float | None = None) -> RunState:
        """Wait until the run has ended, or for `timeout` seconds; returns its state then."""
        return self._reader.wait(timeout)

    def follow(self, timeout: float | None = None) -> Iterator[tuple[RunState, bool]]:
        """The state after each change, and whether it is the last: the run ended, or `timeout` seconds passed."""
        return self._reader.follow(timeout)

    # Commands

    def pause(self) -> RunState:
        """Pause after the present step, with everything on the disk. After ten minutes its memory is freed, too."""
        return run_commands.ask(self._reader, "pause")

    def resume(self) -> RunState:
        """Continue a paused run, or a stopped, failed or lost one from its newest checkpoint.

        It ends with the weights it would have had without the interruption, bit for bit.
        Raises RunError if it is finished, which `continue_` trains further, and FormatError if another version of
        nbtransfer wrote the checkpoint.
        """
        return run_commands.resume(self._reader)

    def stop(self) -> RunState:
        """End the run after the present step and keep the best model so far. A run that has ended is left alone."""
        return run_commands.stop(self._reader)

    def kill(self) -> None:
        """End the worker at once, even one that hangs or is about to begin. `resume` repeats what was not on the disk yet.

        Returns when it has ended; a run without a worker is left alone. Raises RunError if the worker may still be there.
        """
        run_commands.kill(self._reader)

    def checkpoint(self) -> RunState:
        """Save a checkpoint after the present step."""
        return run_commands.ask(self._reader, "checkpoint")

    def freeze(self, *layers: str) -> RunState:
        """Freeze these layers or stages from the next step on, in later phases too.

        Raises PlanError if there is no such layer, RunError if someone else has changed the run since you looked.
        """
        return run_commands.change_layers(self._reader, self._card, "freeze", layers)

    def thaw(self, *layers: str, lr: float | None = None) -> RunState:
        """Let these layers or stages learn from the next step on, `lr` times as fast as the head. Raises like `freeze`."""
        rate = {} if lr is None else {"lr": lr}
        return run_commands.change_layers(self._reader, self._card, "thaw", layers, **rate)

    def replan(self, plan: FreezePlan) -> RunState:
        """Put `plan` in force from the next step on and in later phases too: what learns, how fast, and how layers normalise.

        Raises like `freeze`.
        """
        return run_commands.replan(self._reader, self._card, plan)

    def set_lr(self, lr: float) -> RunState:
        """Change the peak learning rate of the present phase; its schedule continues from where it is. Raises like `freeze`."""
        return run_commands.change(self._reader, "set_lr", lr=lr)

    def set_epochs(self, epochs: int) -> RunState:
        """Change the length of the run, all phases together, by its last phase. Raises like `freeze`."""
        return run_commands.change(self._reader, "set_epochs", epochs=epochs)

    def continue_(
        self, epochs: int | None = None, task: Task | None = None, *, name: str | None = None, **settings: Any
    ) -> Run:
        """Start a new run from the weights of this one, which has ended; this one stays as it is.

        epochs     its length; None is that of this run's last phase
        task       other images, such as more of them; with the same classes the head goes on as well, else it starts anew
        name       of the new run
        settings   any other fields of its Recipe, such as lr

        It goes on as this run's last phase, with the changes made to that: freeze plan, learning rate, length. Loads torch
        here. Raises RunError if there is no model yet.
        """
        from nbtransfer.jobs.continuing import continued

        return continued(self, epochs, task, name, settings)

    def trust_code(self) -> None:
        """Allow the custom code that came with this run, `run.recipe.code`, to run under this account from now on.

        Read it first. Code written here with `%%transfer_code` is trusted already. Raises CodeError if it was edited.
        """
        trusted.trust(self.recipe.code)

    # Results

    def evaluate(self, split: str | None = None) -> Evaluation:
        """Scores of the best model on "val" or "test" (the default where the task has one). Raises RunError before the end."""
        return run_results.evaluation(self._reader, self.recipe, split)

    def receipt(self) -> dict[str, str]:
        """For every layer that was frozen in some phase: "unchanged, checked", perhaps with the phase, or "CHANGED"."""
        return run_results.receipt(self._reader)

    def predictions(self, split: str = "val") -> list[tuple[int, int, list[float]]]:
        """For each image of a split its number in that split, its label, and the probability of each class."""
        return run_results.predictions(self._reader, self.recipe, split)

    def model(self) -> TransferModel:
        """The best model, in evaluation mode on the CPU, with its preprocessing and classes."""
        return run_results.model(self._reader, self.recipe)

    def predict(self, images: Any) -> Answers:
        """The best model's answers for one image or many, as a list that shows as a table; see `nbtransfer.predict`.

        Samples of this run's task come with their truth. The model stays in the memory of this process, four bytes for each
        parameter, until this handle is gone or the run has a better model.
        """
        return run_results.predict(self._reader, self.recipe, images, self._kept)

    def export(self, folder: str | os.PathLike[str], format: str = "nbtransfer") -> Path:  # noqa: A002 - the word for it
        """Write the best model to a new folder for use elsewhere, with code, classes, preprocessing and an example.

        format   "nbtransfer"   any model, for `nbtransfer.load_model`
                 "state_dict"   weights under the names of torchvision or timm, for use with that library alone
                 "onnx"         a graph for ONNX Runtime; needs the extra `onnx`

        The example is synthetic: no image of the task is needed or published. Raises InputError if the folder is not empty or
        the model cannot have that format, MissingExtraError if a package is missing.
        """
        return run_results.export(self._reader, self.recipe, folder, format)

    def save_backbone(self, name: str) -> BackboneCard:
        """Save the shared layers of the best model, and a linear head, as `mine/NAME`; the card records their source.

        Raises RunError while the run is in progress or has no model, BackboneError if the name is taken or not valid.
        """
        return run_results.save_backbone(self._reader, self.recipe, self._card, name)

    def __reduce__(self) -> tuple[type[Run], tuple[RunPaths]]:
        """A copy is another handle on the same run."""
        return Run, (self.paths,)

    def __repr__(self) -> str:
        found = self.verdict
        called = f", {self.name!r}" if self.name else ""
        caveats = f"; {quantity(len(found.caveats), 'caveat')}, see run.verdict" if found.caveats else ""
        return f"Run({self.id!r}{called}, {found.headline}{caveats})"


@checked()
def attach(run_id: str | os.PathLike[str] | Run) -> Run:
    """A handle on a run that was started anywhere.

    run_id   its name, its id, an unambiguous part of its beginning or end, or the path of its folder
    """
    found = open_run(run_id)
    own_runs.add(found.paths)
    return found


def open_run(run_id: str | os.PathLike[str] | Run) -> Run:
    """The same without taking it for one that this notebook is about."""
    if isinstance(run_id, Run):
        return run_id
    if isinstance(run_id, os.PathLike) or os.sep in run_id:
        return Run(find_run.open_folder(Path(run_id)))
    return Run(find_run.open_run(run_id))
