"""What it takes to repeat a run."""

from __future__ import annotations

from dataclasses import dataclass

from nbtransfer.core.events import Decided
from nbtransfer.core.training_plan import Change


@dataclass(frozen=True, slots=True)
class Repeat:
    """The history of a run: the changes to its training plan and the decisions its worker measured.

    Together with the recipe, it determines the result.
    """

    run: str | None = None
    changes: tuple[Change, ...] = ()
    decisions: tuple[Decided, ...] = ()
