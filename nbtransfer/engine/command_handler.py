"""What people ask of a run while it goes on: taken between steps, carried out in order, answered once."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Protocol

from nbtransfer.core import events as ev
from nbtransfer.core.training_plan import CHANGES, Change
from nbtransfer.engine.context import RunContext
from nbtransfer.errors import InputError
from nbtransfer.store.inbox import Command, Junk


class ControlledRun(Protocol):
    """The run that commands are about."""

    @property
    def acknowledged(self) -> tuple[int, int]:
        """The position of the last change that an earlier attempt acknowledged. Other changes come after it."""

    def change(self, change: Change) -> Iterator[ev.Event]:
        """Change the training plan; raises an InputError when that is not possible."""

    def save(self) -> Iterator[ev.Event]:
        """Write everything to the disk."""


@dataclass
class CommandHandler:
    """Carries out the commands to one run.

    stopped   why the run ends early
    paused    whether it rests
    left      whether this process gives its memory back while it rests
    """

    context: RunContext
    run: ControlledRun
    stopped: str | None = None
    paused: bool = False
    left: bool = False

    @property
    def over(self) -> bool:
        """Whether the run should not go on in this process."""
        return self.left or self.stopped is not None

    def handle(self) -> Iterator[ev.Event]:
        """Carry out all commands. Returns when the run may go on, or should end."""
        yield from self._repeat()
        while True:
            for command in self.context.control.take():
                if not self._is_too_early(command):
                    yield from self._answer(command)
                    self.context.control.done(command)
            if self.context.control.ended_by is not None and self.stopped is None:
                yield from self.run.save()
                self.stopped = self.context.control.ended_by
            if self.over or not self.paused:
                return
            if not self.context.control.rest():
                self.left = True
                yield ev.Paused("the worker has ended to give its memory back; resume starts another", left=True)
                return

    def refuse_all(self, why: str) -> Iterator[ev.Event]:
        """Answer what came too late."""
        for command in self.context.control.take():
            yield _answer_event(command, accepted=False, message=why)
            self.context.control.done(command)

    def _repeat(self) -> Iterator[ev.Event]:
        """Changes that were made at this position when this run was first carried out."""
        plan = self.context.training_plan
        while plan.due(*self.context.position):
            change = plan.coming.pop(0)
            if change.op == "stop":
                yield from self.run.save()
                self.stopped = "stopped where the run that is repeated was"
                return
            yield from self.run.change(change)

    def _is_too_early(self, command: Command | Junk) -> bool:
        """A change waits until steps that were lost are done again: those acknowledged since then were made before it."""
        return isinstance(command, Command) and command.op in CHANGES and self.context.position < self.run.acknowledged

    def _answer(self, command: Command | Junk) -> Iterator[ev.Event]:
        if isinstance(command, Junk):
            yield _answer_event(command, accepted=False, message=command.reason)
            return
        try:
            message = yield from self._carry_out(command)
        except InputError as error:
            yield _answer_event(command, accepted=False, message=str(error))
            return
        # Before the answer: whoever has read that sees the run as it is from then on.
        if command.op == "pause":
            yield ev.Paused(f"paused by {command.sender}")
        elif command.op == "resume":
            yield ev.Continued()
        yield _answer_event(command, accepted=True, message=message, position=self.context.position)

    def _carry_out(self, command: Command) -> Generator[ev.Event, None, str]:
        """Do it; returns the message for the sender. Raises an InputError when the command is refused."""
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
                refusal = self.context.control.refusal(command)
                if refusal:
                    raise InputError(refusal)
                yield from self.run.change(Change(*self.context.position, op, command.arguments))
                return "from the next step on"
        known = ", ".join(("stop", "pause", "resume", "checkpoint", *CHANGES))
        raise InputError(f"this worker knows no command {command.op!r}; it knows {known}")


def _answer_event(
    command: Command | Junk, *, accepted: bool, message: str, position: tuple[int, int] = (0, 0)
) -> ev.CommandDone:
    if isinstance(command, Junk):
        return ev.CommandDone(command.id, "", "", accepted, message)
    return ev.CommandDone(command.id, command.op, command.sender, accepted, message, command.arguments, *position)
