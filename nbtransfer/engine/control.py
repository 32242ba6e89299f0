"""The source of commands to a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nbtransfer.core.messages import Message
from nbtransfer.store.inbox import Command, Junk


class Control(Protocol):
    """The source of commands to a run."""

    def waiting(self) -> bool:
        """Whether there are commands; cheap, because it is called between steps."""

    def take(self) -> Sequence[Command | Junk]:
        """The new commands, in order."""

    def refusal(self, command: Command) -> Message | None:
        """Why a change is refused: another change was made that its sender had not seen."""

    def done(self, command: Command | Junk) -> None:
        """Called after the answer is written."""

    def rest(self) -> bool:
        """Wait a moment during a pause; False when the pause has lasted too long for this process to stay."""

    @property
    def ended_by(self) -> Message | None:
        """Why this process must end soon; None while it may continue."""


class Unattended:
    """A run without commands."""

    ended_by = None

    def waiting(self) -> bool:
        return False

    def take(self) -> Sequence[Command | Junk]:
        return ()

    def refusal(self, command: Command) -> Message | None:  # noqa: ARG002 - a protocol's
        return None

    def done(self, command: Command | Junk) -> None:
        """There are no commands."""

    def rest(self) -> bool:
        return False
