"""The snapshots of a run, and which one a comparison begins with.

start            pretrained shared layers, a head of zeros: every class has the same evidence
<n>-<phase>      the best model of that phase
best             the model of the run
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.text.names import suggest
from nbtransfer.errors import InputError, NbTransferError, RunError
from nbtransfer.jobs.listing import list_runs
from nbtransfer.jobs.run import Run, attach
from nbtransfer.pretrained.listing import backbone
from nbtransfer.store import runs

if TYPE_CHECKING:
    from nbtransfer.engine.model.transfer_model import TransferModel

START, BEST = "start", "best"


@dataclass(frozen=True)
class Snapshot:
    """A named point of a run, whose model can be had."""

    run: Run
    name: str

    def model(self) -> TransferModel:
        """The model at this point, in evaluation mode on the CPU. Raises RunError or CheckpointError."""
        from nbtransfer.engine.checkpoints import result  # loads torch
        from nbtransfer.engine.model import transfer_model
        from nbtransfer.pretrained import registry

        recipe, paths = self.run.recipe, self.run.paths
        if self.name == START:
            built, _ = transfer_model.build(recipe, registry.card(recipe.backbone))
            return built.eval().requires_grad_(False)
        return result.load(paths, recipe, None if self.name == BEST else paths.snapshots / self.name)

    def __str__(self) -> str:
        return f"{self.name} of run {self.run.id} ({self.run.recipe.strategy_name})"


def names(run: Run) -> tuple[str, ...]:
    """Names of the snapshots there are so far, in order."""
    best = (BEST,) if (run.paths.result / "model").is_dir() else ()
    return (START, *_snapshots(run), *best)


def names_before(run: Run, after: str = BEST) -> tuple[str, ...]:
    """What a comparison that ends with `after` may begin with, the default first: snapshots, and ids of linear probes."""
    choices = [*names(run), *(probe.id for probe in probes_like(run))]
    try:
        default = default_before(run, after)
    except InputError:
        return tuple(choices)
    first = default.name if default.run.id == run.id else default.run.id
    return (first, *(choice for choice in choices if choice != first))


def snapshot(run: Run, name: str) -> Snapshot:
    """One snapshot of a run; raises InputError that lists what there is, RunError when it has no model yet."""
    if name == BEST and name not in names(run):
        raise RunError(
            f"run {run.id} is {run.state.status} and has no model yet; wait for its first epoch to end, or see its log"
        )
    if name not in names(run):
        raise InputError(f"run {run.id} has no snapshot {name!r}; {suggest(name, names(run))}")
    return Snapshot(run, name)


def before(run: Run, wanted: Run | str | None, after: str = BEST) -> Snapshot:
    """Where a comparison begins: a run (its best model), the id of one, a snapshot of this run, or None for the default."""
    if wanted is None:
        return default_before(run, after)
    if isinstance(wanted, str):
        if wanted in names(run):
            return Snapshot(run, wanted)
        try:
            wanted = attach(wanted)
        except RunError as error:
            known = ", ".join(names(run))
            raise InputError(
                f"{wanted!r} is neither a run nor a snapshot of run {run.id}; its snapshots are {known}"
            ) from error
    return snapshot(wanted, BEST)


def default_before(run: Run, after: str = BEST) -> Snapshot:
    """The linear probe that `after` should be compared with; raises InputError that says how to make one.

    That is this run's own last snapshot with all shared layers frozen, or the start if nothing has learned but the head,
    else the newest finished linear probe on the same task, shared layers and input.
    """
    frozen = _frozen_phases(run)
    # Up to `after`, has any shared layer learned?
    last = len(frozen) - 1 if after == BEST else _index(after)
    if all(frozen[: last + 1]):
        return Snapshot(run, START)
    own = [name for name in _snapshots(run) if _index(name) < last and frozen[_index(name)]]
    if own:
        return Snapshot(run, own[-1])
    for probe in probes_like(run):
        return Snapshot(probe, BEST)
    raise InputError(
        f"run {run.id} has no linear probe to be compared with; start the same recipe with strategy='lp', wait for it, then "
        "pass before=that_run"
    )


def probes_like(run: Run) -> Iterator[Run]:
    """Finished runs, newest first, that trained only a head on the same task, weights and input."""
    wanted = _key(run)
    for other in list_runs():
        try:
            if other.id != run.id and _may_fit(run, other) and _key(other) == wanted and all(_frozen_phases(other)):
                yield other
        except NbTransferError:
            continue  # a run that cannot be read is no candidate


def _may_fit(run: Run, other: Run) -> bool:
    """Cheap to answer: reading a manifest takes a while."""
    plain = runs.read_spec(other.paths)["recipe"]
    return plain["backbone"] == run.recipe.backbone and other.state.status == "finished"


def _key(run: Run) -> tuple[object, ...]:
    recipe, prepared = run.recipe, run.state.prepared
    if prepared is None:
        raise RunError(f"run {run.id} has not begun yet; wait for its first epoch to end")
    return recipe.task.digest, recipe.backbone, prepared.weights, recipe.input_for(_card(run))


def _frozen_phases(run: Run) -> list[bool]:
    """For each phase whether every shared layer was frozen."""
    card = _card(run)
    plans = [phase.plan.resolve(card) for phase in run.recipe.resolved(card).phases]
    return [not any(entry.learns or entry.updates for entry in plan.values()) for plan in plans]


def _card(run: Run) -> BackboneCard:
    return backbone(run.recipe.backbone)


def _snapshots(run: Run) -> list[str]:
    try:
        found = [path.name for path in run.paths.snapshots.iterdir() if path.name[0].isdigit()]
    except FileNotFoundError:
        return []
    return sorted(found, key=_index)


def _index(name: str) -> int:
    """The number of the phase a snapshot belongs to; the start comes before all."""
    return -1 if name == START else int(name.split("-", 1)[0])
