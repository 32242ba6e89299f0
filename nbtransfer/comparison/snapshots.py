"""The snapshots of a run, and which one a comparison starts from.

start            pretrained shared layers, a head of zeros: every class has the same evidence
<n>-<phase>      the best model of that phase
best             the model of the run
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.text.names import suggest
from nbtransfer.errors import InputError, NbTransferError, RunError
from nbtransfer.jobs.listing import list_runs
from nbtransfer.jobs.run import Run, open_run
from nbtransfer.jobs.run_results import no_model
from nbtransfer.pretrained.cards import card_of
from nbtransfer.store import runs

if TYPE_CHECKING:
    from nbtransfer.engine.model.transfer_model import TransferModel

START, BEST = "start", "best"


@dataclass(frozen=True)
class Snapshot:
    """A model at a named point of a run."""

    run: Run
    name: str

    @property
    def folder(self) -> Path | None:
        """Where its model lies; None for the start, which is built anew."""
        if self.name == START:
            return None
        return self.run.paths.best_model if self.name == BEST else self.run.paths.snapshots / self.name

    @property
    def key(self) -> tuple[str, str, int]:
        """Identifies the model: a run that goes on replaces its best one under the same name."""
        written = self.folder.stat().st_mtime_ns if self.folder is not None and self.folder.exists() else 0
        return str(self.run.paths.root), self.name, written

    def model(self) -> TransferModel:
        """The model at this point, in evaluation mode on the CPU. Raises RunError or CheckpointError."""
        from nbtransfer.engine.checkpoints import result  # loads torch
        from nbtransfer.engine.model import transfer_model
        from nbtransfer.pretrained import cards

        recipe = self.run.recipe
        if self.folder is not None:
            return result.load(self.run.paths, recipe, self.folder)
        built, _ = transfer_model.build(recipe, cards.card_of(recipe))
        return built.eval().requires_grad_(False)

    def __str__(self) -> str:
        return f"{self.name} of run {self.run.id} ({self.run.recipe.strategy_name})"


def names(run: Run) -> tuple[str, ...]:
    """Names of the snapshots so far, in order."""
    best = (BEST,) if run.paths.best_model.is_dir() else ()
    return (START, *_phase_names(run), *best)


def names_before(run: Run, after: str = BEST) -> tuple[str, ...]:
    """What a comparison that ends with `after` may start from, the default first: snapshots, and ids of linear probes."""
    choices = [*names(run), *(probe.id for probe in find_probes(run))]
    try:
        default = default_before(run, after)
    except InputError:
        return tuple(choices)
    first = default.name if default.run.id == run.id else default.run.id
    return (first, *(choice for choice in choices if choice != first))


def find_snapshot(run: Run, name: str) -> Snapshot:
    """One snapshot of a run; raises InputError that lists the others, RunError if the run has no model yet."""
    if name == BEST and name not in names(run):
        raise no_model(run.id, run.state)
    if name not in names(run):
        raise InputError(f"run {run.id} has no snapshot {name!r}; {suggest(name, names(run))}")
    return Snapshot(run, name)


def find_before(run: Run, choice: Run | str | None, after: str = BEST) -> Snapshot:
    """Where a comparison starts: a run (its best model), the id of one, a snapshot of this run, or None for the default."""
    if choice is None:
        return default_before(run, after)
    if isinstance(choice, str):
        if choice in names(run):
            return Snapshot(run, choice)
        try:
            choice = open_run(choice)
        except RunError as error:
            known = ", ".join(names(run))
            raise InputError(
                f"{choice!r} is neither a run nor a snapshot of run {run.id}; its snapshots are {known}"
            ) from error
    return find_snapshot(choice, BEST)


def default_before(run: Run, after: str = BEST) -> Snapshot:
    """The linear probe to compare `after` with; raises InputError that says how to make one.

    That is this run's own last snapshot with all shared layers frozen, or the start if only the head has learned, else the
    newest finished linear probe on the same task, shared layers and input.
    """
    frozen = _frozen_phases(run)
    # Up to `after`, has any shared layer learned?
    last = len(frozen) - 1 if after == BEST else _index(after)
    if all(frozen[: last + 1]):
        return Snapshot(run, START)
    own = [name for name in _phase_names(run) if _index(name) < last and frozen[_index(name)]]
    if own:
        return Snapshot(run, own[-1])
    for probe in find_probes(run):
        return Snapshot(probe, BEST)
    raise InputError(
        f"run {run.id} has no linear probe to compare with; start the same recipe with strategy='lp', wait for it, then "
        "pass before=that_run"
    )


def find_probes(run: Run) -> Iterator[Run]:
    """Finished runs, newest first, that trained only a head on the same task, weights and input."""
    conditions = _conditions(run)
    for other in list_runs():
        try:
            if (
                other.id != run.id
                and _may_match(run, other)
                and _conditions(other) == conditions
                and all(_frozen_phases(other))
            ):
                yield other
        except NbTransferError:
            continue  # an unreadable run is no candidate


def _may_match(run: Run, other: Run) -> bool:
    """A cheap first check: reading a manifest takes a while."""
    plain = runs.read_spec(other.paths)["recipe"]
    return plain["backbone"] == run.recipe.backbone and other.state.status == "finished"


def _conditions(run: Run) -> tuple[object, ...]:
    """What two runs must share to be compared."""
    recipe, prepared = run.recipe, run.state.prepared
    if prepared is None:
        raise no_model(run.id, run.state)
    weights = prepared.weights or recipe.seed
    return recipe.task.digest, recipe.backbone, weights, recipe.input_for(_card(run))


def _frozen_phases(run: Run) -> list[bool]:
    """For each phase whether every shared layer was frozen."""
    card = _card(run)
    plans = [phase.plan.resolve(card) for phase in run.recipe.resolved(card).phases]
    return [not any(entry.learns or entry.updates for entry in plan.values()) for plan in plans]


def _card(run: Run) -> BackboneCard:
    return card_of(run.recipe)


def _phase_names(run: Run) -> list[str]:
    try:
        found = [path.name for path in run.paths.snapshots.iterdir() if path.name[0].isdigit()]
    except FileNotFoundError:
        return []
    return sorted(found, key=_index)


def _index(name: str) -> int:
    """The number of the phase a snapshot belongs to; the start precedes all."""
    return -1 if name == START else int(name.split("-", 1)[0])
