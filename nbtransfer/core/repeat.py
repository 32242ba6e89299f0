"""What a run does that repeats another one."""

from __future__ import annotations

from dataclasses import dataclass

from nbtransfer.core.events import Decided
from nbtransfer.core.training_plan import Change


@dataclass(frozen=True, slots=True)
class Repeat:
    """The history of a run: what was changed in its training plan and what its worker chose by measurement.

    With the recipe, that is all that its result depends on.
    """

    run: str | None = None
    changes: tuple[Change, ...] = ()
    decisions: tuple[Decided, ...] = ()
