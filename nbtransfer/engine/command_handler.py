"""Commands to a run in progress: executed in order between steps, each answered once."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Protocol

from nbtransfer.core import events as ev
from nbtransfer.core.messages import Message, message, message_of
from nbtransfer.core.training_plan import CHANGES, Change
from nbtransfer.engine.context import RunContext
from nbtransfer.errors import InputError
from nbtransfer.store.inbox import Command, Junk


class ControlledRun(Protocol):
    """The run that commands control."""

    @property
    def last_change(self) -> tuple[int, int]:
        """The position of the last change that an earlier attempt made. New changes come after it."""

    def change(self, change: Change) -> Iterator[ev.Event]:
        """Change the training plan; raises InputError if that is not possible."""

    def save(self) -> Iterator[ev.Event]:
        """Save a checkpoint."""


@dataclass
class CommandHandler:
    """Executes the commands to one run.

    stop_reason   why the run ends early
    paused        whether the run is paused
    has_left      whether this process exits during the pause to free its memory
    """

    context: RunContext
    run: ControlledRun
    stop_reason: Message | None = None
    paused: bool = False
    has_left: bool = False

    @property
    def is_over(self) -> bool:
        """Whether the run ends in this process."""
        return self.has_left or self.stop_reason is not None

    def handle(self) -> Iterator[ev.Event]:
        """Execute all commands. Returns when the run may continue or must end."""
        yield from self._replay_changes()
        while True:
            for command in self.context.control.take():
                if not self._is_too_early(command):
                    yield from self._answer(command)
                    self.context.control.done(command)
            if self.context.control.ended_by is not None and self.stop_reason is None:
                yield from self.run.save()
                self.stop_reason = self.context.control.ended_by
            if self.is_over or not self.paused:
                return
            if not self.context.control.rest():
                self.has_left = True
                yield ev.Paused(message("pause.left"), left=True)
                return

    def refuse_all(self, why: Message) -> Iterator[ev.Event]:
        """Refuse the commands that came too late."""
        for command in self.context.control.take():
            yield _answer_event(command, accepted=False, message=why)
            self.context.control.done(command)

    def _replay_changes(self) -> Iterator[ev.Event]:
        """Make the changes that the run being repeated made at this position."""
        plan = self.context.training_plan
        while plan.due(*self.context.position):
            change = plan.coming.pop(0)
            if change.op == "stop":
                yield from self.run.save()
                self.stop_reason = message("end.repeated")
                return
            yield from self.run.change(change)

    def _is_too_early(self, command: Command | Junk) -> bool:
        """A change waits until lost steps are redone: changes made during those steps come first."""
        return isinstance(command, Command) and command.op in CHANGES and self.context.position < self.run.last_change

    def _answer(self, command: Command | Junk) -> Iterator[ev.Event]:
        if isinstance(command, Junk):
            yield _answer_event(command, accepted=False, message=command.reason)
            return
        try:
            answer = yield from self._carry_out(command)
        except InputError as error:
            yield _answer_event(command, accepted=False, message=message_of(error))
            return
        # Before the answer: a sender that has read the answer sees the new state of the run.
        if command.op == "pause":
            yield ev.Paused(message("pause.by", sender=command.sender))
        elif command.op == "resume":
            yield ev.Continued()
        yield _answer_event(command, accepted=True, message=answer, position=self.context.position)

    def _carry_out(self, command: Command) -> Generator[ev.Event, None, Message]:
        """Execute a command and return the message for its sender. Raises InputError if it is refused."""
        match command.op:
            case "stop":
                yield from self.run.save()
                self.stop_reason = message("end.by", sender=command.sender)
                return message("answer.stop")
            case "pause":
                if self.stop_reason is not None:
                    raise InputError(message("refused.stopping"))
                yield from self.run.save()
                self.paused = True
                return message("answer.pause")
            case "resume":
                self.stop_reason, self.paused = None, False
                return message("answer.resume")
            case "checkpoint":
                yield from self.run.save()
                return message("answer.checkpoint")
            case op if op in CHANGES:
                refusal = self.context.control.refusal(command)
                if refusal:
                    raise InputError(refusal)
                yield from self.run.change(Change(*self.context.position, op, command.arguments))
                return message("answer.change")
        known = ", ".join(("stop", "pause", "resume", "checkpoint", *CHANGES))
        raise InputError(message("refused.unknown", op=command.op, known=known))


def _answer_event(
    command: Command | Junk, *, accepted: bool, message: Message, position: tuple[int, int] = (0, 0)
) -> ev.CommandDone:
    if isinstance(command, Junk):
        return ev.CommandDone(command.id, "", "", accepted, message)
    return ev.CommandDone(command.id, command.op, command.sender, accepted, message, command.arguments, *position)
