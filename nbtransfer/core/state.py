"""The state of a run, `fold(records)`: pure, and cheap to continue."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from nbtransfer.core import events as ev
from nbtransfer.core.evaluation import Evaluation, Interval, wilson
from nbtransfer.core.formats.numbers import EVENTS
from nbtransfer.core.messages import message
from nbtransfer.core.record import Record
from nbtransfer.core.task import split_name
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.training_plan import Change

Status = Literal[
    "created", "queued", "starting", "running", "paused", "stopping", "stopped", "finished", "failed", "lost", "stalled"
]
ENDED: frozenset[Status] = frozenset({"stopped", "finished", "failed"})


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One epoch. Losses are mean cross-entropies in nats, `seconds` is the epoch's wall time with validation."""

    phase: str
    epoch: int
    step: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    val_interval: Interval
    lr: float
    seconds: float
    best: bool


@dataclass(frozen=True, slots=True, repr=False)
class RunState:
    """A run at one moment."""

    status: Status = "created"
    message: str = ""
    pid: int | None = None
    prepared: ev.Prepared | None = None
    phase: str = ""
    phase_index: int = 0
    progress: ev.Step | None = None
    history: tuple[HistoryRow, ...] = ()
    skipped: tuple[ev.ImageSkipped, ...] = ()
    warnings: tuple[str, ...] = ()
    decisions: tuple[ev.Decided, ...] = ()
    computing: ev.Computing | None = None
    commands: tuple[ev.CommandDone, ...] = ()
    changes: tuple[Change, ...] = ()
    resumed: ev.Resumed | None = None
    waits: ev.Paused | None = None
    attempt: int = 0
    newer: bool = False
    receipt: ev.ReceiptIssued | None = None
    evaluations: tuple[Evaluation, ...] = ()
    best_epoch: int | None = None
    seq: int = -1
    began: float | None = None
    before: float = 0.0
    seconds: float = 0.0

    def __repr__(self) -> str:
        return f"RunState({self.headline})"

    @property
    def headline(self) -> str:
        """Status, epochs, why, and the score, in one line: `stopped after 2 of 6 epochs: stopped by ana; accuracy …`."""
        done = len(self.history)
        where = ""
        if self.over and done < self.epochs:
            where = f" after {done} of {quantity(self.epochs, 'epoch')}"
        elif not self.over and done:
            where = f", epoch {done} of {self.epochs}"
        told = "; ".join(filter(None, (self.message, _score(self))))
        return f"{self.status}{where}{': ' if told else ''}{told}"

    @property
    def final_evaluation(self) -> Evaluation | None:
        """The scores that count: those on the test images, or on the validation images where there are none."""
        return self.evaluation("test") or self.evaluation("val")

    @property
    def ended(self) -> bool:
        """The worker has written its last event."""
        return self.status in ENDED

    @property
    def over(self) -> bool:
        """Nothing more will come: the run has ended, or its worker is lost."""
        return self.ended or self.status == "lost"

    @property
    def epochs(self) -> int:
        """Epochs planned, all phases together; 0 before the run is prepared."""
        return sum(phase.epochs for phase in self.prepared.phases) if self.prepared else 0

    @property
    def step(self) -> int:
        """Steps done, as far as the worker has reported."""
        done = self.history[-1].step if self.history else 0
        return done + (self.progress.step if self.progress and self.progress.epoch > len(self.history) else 0)

    @property
    def plan(self) -> ev.PhasePlan | None:
        """The present phase, as planned."""
        known = self.prepared.phases if self.prepared and self.phase else ()
        return known[self.phase_index] if self.phase_index < len(known) else None

    @property
    def fraction(self) -> float:
        """Share of the planned training that is done, 0 to 1."""
        if self.status == "finished":
            return 1.0
        if not self.epochs:
            return 0.0
        done = float(len(self.history))
        if self.progress and self.progress.epoch > len(self.history):
            done = self.progress.epoch - 1 + self.progress.step / self.progress.of
        elif self.computing and self.plan and self.plan.solver:
            done += self.computing.done / self.computing.of  # with the features computed, solving takes no time
        return min(done / self.epochs, 1.0)

    @property
    def phase_seconds_left(self) -> float | None:
        """Estimated seconds until the present phase ends; None while there is no estimate."""
        plan = self.plan
        if self.computing:
            rest = (self.computing.of - self.computing.done) / max(self.computing.images_per_second, 1e-9)
            return rest if plan and plan.solver else None
        rows = [row.seconds for row in self.history if row.phase == self.phase]
        if plan is None or self.prepared is None or self.progress is None or self.progress.images_per_second <= 0:
            return None
        epoch = sum(rows) / len(rows) if rows else self.prepared.train / self.progress.images_per_second
        inside = self.progress.step / self.progress.of if self.progress.epoch > len(self.history) else 0.0
        return max(0.0, epoch * (plan.epochs - len(rows) - inside))

    @property
    def best(self) -> HistoryRow | None:
        """The epoch whose weights are the best so far."""
        return next((row for row in reversed(self.history) if row.best), None)

    def evaluation(self, split: str) -> Evaluation | None:
        """The final evaluation on one split."""
        return next((e for e in self.evaluations if e.split == split), None)


def fold(records: Iterable[Record], state: RunState | None = None) -> RunState:
    """Add records to a state."""
    return functools.reduce(_add, records, state or RunState())


def _score(state: RunState) -> str:
    if found := state.final_evaluation:
        low, high = found.interval
        images = quantity(found.examples, f"{split_name(found.split)} image")
        return f"accuracy {found.accuracy:.3f} on {images} (95 % {low:.3f}–{high:.3f})"
    best = state.best
    return f"best validation accuracy {best.val_accuracy:.3f} in epoch {best.epoch}" if best else ""


def _add(state: RunState, record: Record) -> RunState:
    if record.seq <= state.seq:
        return state
    changes = _changes(state, record)
    return replace(state, **{"seq": record.seq, **_time(state, record), **changes})


def _time(state: RunState, record: Record) -> dict[str, Any]:
    """Seconds that workers spent. Clocks of two attempts cannot be compared: the machine may have restarted."""
    if state.began is None or record.attempt != state.attempt:
        return {"attempt": record.attempt, "began": record.clock, "before": state.seconds, "seconds": state.seconds}
    return {"seconds": state.before + max(0.0, record.clock - state.began)}


def _changes(state: RunState, record: Record) -> dict[str, Any]:  # noqa: C901, PLR0911, PLR0912 - one case an event
    match record.event:
        case ev.Starting(pid=pid) as starting:
            return {"status": "starting", "pid": pid, "message": "", "waits": None, **_written_by(state, starting)}
        case ev.Resumed() as resumed:
            return {"resumed": resumed, **_rewind(state, resumed)}
        case ev.Planned(phases=phases):
            return {"prepared": replace(state.prepared, phases=phases) if state.prepared else None}
        case ev.Paused(reason=reason) as paused:
            return {"status": "paused", "message": reason, "waits": paused}
        case ev.Continued():
            return {"status": "running", "message": "", "waits": None}
        case ev.Prepared() as prepared:
            return {"prepared": prepared}
        case ev.PhaseStarted(phase=phase, index=index):
            return {"status": "running", "phase": phase, "phase_index": index, "computing": None, "message": ""}
        case ev.Decided() as decision:
            others = (d for d in state.decisions if not d.id or (d.subject, d.id) != (decision.subject, decision.id))
            return {"decisions": (*others, decision)}
        case ev.Computing() as computing:
            return {"computing": computing}
        case ev.Step() as step:
            return {"progress": step, "computing": None}
        case ev.EpochEnded() as epoch:
            return {"computing": None, "history": (*_rows_before(state.history, epoch), _row(epoch))}
        case ev.ImageSkipped() as skipped:
            return {"skipped": (*state.skipped, skipped)}
        case ev.Warned(message=message):
            return {} if message in state.warnings else {"warnings": (*state.warnings, message)}
        case ev.CommandDone() as command:
            return {"commands": (*state.commands, command), **_after_command(state, command)}
        case ev.ReceiptIssued() as receipt:
            return {"receipt": receipt}
        case ev.Evaluated(evaluation=evaluation):
            earlier = (known for known in state.evaluations if known.split != evaluation.split)
            return {"evaluations": (*earlier, evaluation)}
        case ev.Finished(best_epoch=best):
            return {"status": "finished", "best_epoch": best, "progress": None}
        case ev.Stopped(reason=reason):
            return {"status": "stopped", "message": reason, "progress": None}
        case ev.Failed(message=message):
            return {"status": "failed", "message": message, "progress": None}
    return {}


def _written_by(state: RunState, starting: ev.Starting) -> dict[str, Any]:
    """The journal of a newer version is known in part only."""
    if state.newer or starting.format <= EVENTS:
        return {}
    return {"newer": True, "warnings": (*state.warnings, message("warn.newer"))}


def _after_command(state: RunState, command: ev.CommandDone) -> dict[str, Any]:
    if command.accepted and command.op == "stop":
        return {"status": "stopping", "changes": (*state.changes, command.change)}
    if command.accepted and command.op == "resume":
        return {"changes": _without_stops(state.changes), "status": "running" if state.status == "stopping" else state.status}
    return {"changes": (*state.changes, command.change)} if command.change else {}


def _without_stops(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """A stop that was taken back is not part of the history."""
    return tuple(change for change in changes if change.op != "stop")


def _rewind(state: RunState, resumed: ev.Resumed) -> dict[str, Any]:
    """What is still true after going back to an earlier step. The result that was written stays until there is another."""
    rows = tuple(row for row in state.history if row.step <= resumed.step and row.epoch <= resumed.epoch)
    changes = _without_stops(state.changes)
    return {"history": rows, "progress": None, "computing": None, "changes": changes, "best_epoch": None}


def _rows_before(history: tuple[HistoryRow, ...], epoch: ev.EpochEnded) -> tuple[HistoryRow, ...]:
    """Rows before this epoch: a chart must not show any twice."""
    if not history or history[-1].epoch < epoch.epoch:
        return history
    return tuple(row for row in history if row.epoch < epoch.epoch)


def _row(e: ev.EpochEnded) -> HistoryRow:
    return HistoryRow(
        phase=e.phase,
        epoch=e.epoch,
        step=e.step,
        loss=e.train_loss,
        accuracy=e.train_accuracy,
        val_loss=e.val_loss,
        val_accuracy=e.val_correct / e.val_examples,
        val_interval=wilson(e.val_correct, e.val_examples),
        lr=e.lr,
        seconds=e.seconds,
        best=e.best,
    )
