"""Where the commands of a run come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

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
