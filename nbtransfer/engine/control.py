"""What people ask of a run while it goes on: taken between steps, carried out in order, answered once."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from nbtransfer.core import events as ev
from nbtransfer.core.training_plan import CHANGES, Change, TrainingPlan
from nbtransfer.errors import InputError
from nbtransfer.store.inbox import Command, Junk


class Control(Protocol):
    """Where commands come from."""

    def waiting(self) -> bool:
        """Whether anything is asked; cheap, called between all steps."""

    def take(self) -> Sequence[Command | Junk]:
        """What is asked, in order."""

    def refusal(self, command: Command) -> str | None:
        """Why a change should not be made: somebody else made one that its sender had not seen yet."""

    def done(self, command: Command | Junk) -> None:
        """Called once the answer has been written."""

    def rest(self) -> bool:
        """Wait a moment while the run is paused; False when it has been long enough."""

    @property
    def ended_by(self) -> str | None:
        """Why this process should end soon; None while it may go on."""


class Unattended:
    """Nobody asks anything."""

    ended_by = None

    def waiting(self) -> bool:
        return False

    def take(self) -> Sequence[Command | Junk]:
        return ()

    def refusal(self, command: Command) -> str | None:  # noqa: ARG002 - a protocol's
        return None

    def done(self, command: Command | Junk) -> None:
        """Nothing was asked."""

    def rest(self) -> bool:
        return False


class ControlledRun(Protocol):
    """The run that commands are about."""

    course: TrainingPlan

    @property
    def moment(self) -> tuple[int, int]:
        """Number of the phase at work, and steps done."""

    @property
    def acknowledged(self) -> tuple[int, int]:
        """The moment of the last change that an earlier attempt acknowledged. Other changes come after it."""

    def change(self, change: Change) -> Iterator[ev.Event]:
        """Change the course; raises an InputError when that cannot be."""

    def save(self) -> Iterator[ev.Event]:
        """Put everything on the disk."""


@dataclass
class CommandHandler:
    """Carries out what is asked of one run. `stopped`, `paused` and `left` say what became of it."""

    control: Control
    run: ControlledRun
    stopped: str | None = None
    paused: bool = False
    left: bool = False

    @property
    def over(self) -> bool:
        """Whether the run should not go on in this process."""
        return self.left or self.stopped is not None

    def waiting(self) -> bool:
        """Whether something should happen before the next step."""
        return self.control.waiting() or self.control.ended_by is not None or self.run.course.due(*self.run.moment)

    def attend(self) -> Iterator[ev.Event]:
        """Do all that is asked. Returns when the run may go on, or should end."""
        yield from self._repeat()
        while True:
            for command in self.control.take():
                if not self._is_too_early(command):
                    yield from self._answer(command)
                    self.control.done(command)
            if self.control.ended_by is not None and self.stopped is None:
                yield from self.run.save()
                self.stopped = self.control.ended_by
            if self.over or not self.paused:
                return
            if not self.control.rest():
                self.left = True
                yield ev.Paused("the worker has ended to give its memory back; resume starts another", left=True)
                return

    def refuse_all(self, why: str) -> Iterator[ev.Event]:
        """Answer what came too late."""
        for command in self.control.take():
            yield _answered(command, accepted=False, message=why)
            self.control.done(command)

    def _repeat(self) -> Iterator[ev.Event]:
        """Changes that were made at this moment when this was first carried out."""
        course = self.run.course
        while course.due(*self.run.moment):
            change = course.coming.pop(0)
            if change.op == "stop":
                yield from self.run.save()
                self.stopped = "stopped where the run that is repeated was"
                return
            yield from self.run.change(change)

    def _is_too_early(self, command: Command | Junk) -> bool:
        """A change waits until steps that were lost are done again: those acknowledged since then were made before it."""
        return isinstance(command, Command) and command.op in CHANGES and self.run.moment < self.run.acknowledged

    def _answer(self, command: Command | Junk) -> Iterator[ev.Event]:
        if isinstance(command, Junk):
            yield _answered(command, accepted=False, message=command.reason)
            return
        try:
            message = yield from self._carried_out(command)
        except InputError as error:
            yield _answered(command, accepted=False, message=str(error))
            return
        # Before the answer: whoever has read that sees the run as it is from then on.
        if command.op == "pause":
            yield ev.Paused(f"paused by {command.sender}")
        elif command.op == "resume":
            yield ev.Continued()
        yield _answered(command, accepted=True, message=message, moment=self.run.moment)

    def _carried_out(self, command: Command) -> Generator[ev.Event, None, str]:
        """Do it; returns what there is to say. Raises an InputError when it is refused."""
        match command.op:
            case "stop":
                yield from self.run.save()
                self.stopped = f"stopped by {command.sender}"
                return "stopping after this step"
            case "pause":
                if self.stopped is not None:
                    raise InputError("the run is stopping already")
                yield from self.run.save()
                self.paused = True
                return "paused after this step; everything is on the disk"
            case "resume":
                self.stopped, self.paused = None, False
                return "going on"
            case "checkpoint":
                yield from self.run.save()
                return "everything is on the disk"
            case op if op in CHANGES:
                refusal = self.control.refusal(command)
                if refusal:
                    raise InputError(refusal)
                yield from self.run.change(Change(*self.run.moment, op, command.arguments))
                return "from the next step on"
        known = ", ".join(("stop", "pause", "resume", "checkpoint", *CHANGES))
        raise InputError(f"this worker knows no command {command.op!r}; it knows {known}")


def _answered(command: Command | Junk, *, accepted: bool, message: str, moment: tuple[int, int] = (0, 0)) -> ev.CommandDone:
    if isinstance(command, Junk):
        return ev.CommandDone(command.id, "", "", accepted, message)
    return ev.CommandDone(command.id, command.op, command.sender, accepted, message, command.arguments, *moment)
