"""Everything a worker can report, one frozen class each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from nbtransfer.core.evaluation import Evaluation
from nbtransfer.core.formats.numbers import EVENTS
from nbtransfer.core.messages import Message
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.training_plan import CHANGES, Change

PhaseEnd = Literal["finished", "patience", "stopped", "diverged"]
"""Its epochs are done, the validation score got no better, it was stopped, or the loss became NaN or infinite."""


@dataclass(frozen=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True)
class Starting(Event):
    """A worker holds the run's lock. Written before any framework is loaded.

    `format` is that of its events; this event has these fields in every format.
    """

    pid: int
    host: str
    python: str
    format: int = EVENTS


@dataclass(frozen=True)
class PhasePlan:
    """One phase as it will be carried out. A head fitted by a `solver` has no learning rate."""

    name: str
    epochs: int
    lr: float
    trainable: int
    summary: Message
    solver: str | None = None

    @property
    def how(self) -> str:
        """How the phase learns, in words."""
        if self.solver:
            return f"solved by {self.solver} regression"
        return f"{quantity(self.epochs, 'epoch')} at learning rate {self.lr:g}"


@dataclass(frozen=True)
class Prepared(Event):
    """Data and model are ready. `phases` is the plan, `weights` the sha256 of the pretrained ones (None: random ones)."""

    device: str
    device_name: str
    precision: str
    threads: int
    train: int
    val: int
    test: int
    total: int
    weights: str | None
    phases: tuple[PhasePlan, ...]
    versions: dict[str, str]


@dataclass(frozen=True)
class Decided(Event):
    """A choice the worker made by itself, and why.

    If it is about time: the expected seconds for the phase, and those it would have taken `otherwise`.
    `id` identifies the decision, so that a worker that continues later chooses the same.
    """

    subject: str
    choice: str
    reason: Message
    seconds: float | None = None
    otherwise: float | None = None
    id: str = ""


@dataclass(frozen=True)
class Resumed(Event):
    """A worker continues where an earlier one left off: after `step` steps and `epoch` whole epochs.

    Earlier events about later steps are void. `checkpoint` is None if it starts over. `differences` says why the result
    may differ in its last bits from that of an uninterrupted run; if it is empty, the result is the same.
    """

    step: int
    epoch: int
    checkpoint: str | None
    differences: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Planned(Event):
    """The plan has changed: the phases as they are now."""

    phases: tuple[PhasePlan, ...]


@dataclass(frozen=True)
class Paused(Event):
    """The run waits until it is resumed, or until what `reason` names is over.

    Everything is on the disk. `left` means that the worker exited to free its memory; another one will continue.
    """

    reason: Message
    left: bool = False


@dataclass(frozen=True)
class Continued(Event):
    """The pause is over."""


@dataclass(frozen=True)
class PhaseStarted(Event):
    """`index` counts phases from 0."""

    phase: str
    index: int


@dataclass(frozen=True)
class Computing(Event):
    """The activations of the frozen layers are being computed, once: `done` of `of` images in all their views."""

    layer: str
    done: int
    of: int
    images_per_second: float


@dataclass(frozen=True)
class Solved(Event):
    """A head was fitted by a solver: validation losses along the path of penalty strengths, and the strength chosen.

    `gap` bounds how far the loss of the chosen head, with its penalty, is above the least there is, in nats; None in an exact
    solution, and in what the first edition wrote.
    """

    solver: str
    strengths: tuple[float, ...]
    losses: tuple[float, ...]
    chosen: float
    converged: bool
    seconds: float
    gap: float | None = None


@dataclass(frozen=True)
class Step(Event):
    """Progress inside an epoch, at most a few times a second. `loss` is a running mean over recent steps."""

    phase: str
    epoch: int
    step: int
    of: int
    loss: float
    lr: float
    images_per_second: float


@dataclass(frozen=True)
class EpochEnded(Event):
    """`epoch` counts from 1 across phases, `step` from the start of the run.

    `best` means: the best epoch of the run so far, more validation images right or as many with a smaller loss.
    """

    phase: str
    epoch: int
    step: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_correct: int
    val_examples: int
    lr: float
    seconds: float
    best: bool


@dataclass(frozen=True)
class PhaseEnded(Event):
    """`reason` is "finished", "patience", "stopped" or "diverged"."""

    phase: str
    index: int
    best_epoch: int
    reason: PhaseEnd


@dataclass(frozen=True)
class ImageSkipped(Event):
    """An image could not be decoded and is left out from now on."""

    source: str
    split: str
    reason: Message


@dataclass(frozen=True)
class Warned(Event):
    """A warning that does not end the run."""

    message: Message


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A checkpoint is on the disk under this name."""

    name: str
    step: int


@dataclass(frozen=True)
class CommandDone(Event):
    """Answer to one file in the control inbox.

    An accepted change is part of the history: `phase` and `step` say when it was made.
    """

    id: str
    op: str
    sender: str
    accepted: bool
    message: Message
    arguments: dict[str, Any] = field(default_factory=dict)
    phase: int = 0
    step: int = 0

    @property
    def change(self) -> Change | None:
        """The change to the training plan; None if there was none."""
        changes = self.accepted and self.op in (*CHANGES, "stop")
        return Change(self.phase, self.step, self.op, self.arguments) if changes else None


@dataclass(frozen=True)
class ReceiptIssued(Event):
    """How many layers were frozen in some phase, and which of them changed nonetheless; compared bit for bit."""

    frozen: int
    unchanged: int
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Evaluated(Event):
    """Scores of the best model on one split."""

    evaluation: Evaluation


@dataclass(frozen=True)
class Finished(Event):
    """The last event of a run that was carried out to its end."""

    best_epoch: int
    seconds: float


@dataclass(frozen=True)
class Stopped(Event):
    """The last event of a run that was asked to stop, or whose loss became NaN or infinite."""

    reason: Message


@dataclass(frozen=True)
class Failed(Event):
    """`message` is one sentence for the user; the traceback is in the log."""

    message: Message
