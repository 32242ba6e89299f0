"""Which numbers the settings of a recipe may be."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nbtransfer.errors import RecipeError

MOST_EPOCHS = 1_000_000


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`; `above` leaves out `low` itself, `otherwise` says what stands for no number."""

    low: float
    high: float = math.inf
    whole: bool = False
    above: bool = False
    otherwise: str = ""

    def fits(self, value: object) -> bool:
        """Whether a value is such a number."""
        if not isinstance(value, int if self.whole else (int, float)) or isinstance(value, bool):
            return False
        assert isinstance(value, (int, float))
        enough = value > self.low if self.above else value >= self.low
        return enough and value <= self.high and (self.whole or math.isfinite(value))

    def __str__(self) -> str:
        """`a whole number from 1 to 1,000,000`, `a number above 0, or None for no limit`."""
        kind = "a whole number" if self.whole else "a number"
        low, high = (f"{end:,}" if self.whole else f"{end:g}" for end in (self.low, self.high))
        if self.above:
            text = f"{kind} above {low}" + (f", and at most {high}" if self.high < math.inf else "")
        else:
            text = f"{kind} from {low} " + (f"to {high}" if self.high < math.inf else "up")
        return f"{text}, or {self.otherwise}" if self.otherwise else text


RANGES = {
    "epochs": Range(1, MOST_EPOCHS, whole=True),
    "batch_size": Range(2, whole=True),
    "image_size": Range(8, whole=True, otherwise="None for that of the shared layers"),
    "patience": Range(1, whole=True, otherwise="None for never"),
    "seed": Range(0, whole=True),
    "threads": Range(1, 1024, whole=True, otherwise="None for every core"),  # more than any machine has cores
    "loader_workers": Range(0, 1024, whole=True, otherwise="None to decide by device"),
    "cache_budget": Range(0, whole=True, otherwise="None for the usual one"),
    "views": Range(2, whole=True, otherwise="None for new ones every epoch"),
    "checkpoint_every": Range(1, whole=True, otherwise="None to decide by time"),
    "lr": Range(0, 1e30, above=True, otherwise="None for the optimiser's default"),
    "weight_decay": Range(0, 10),
    "label_smoothing": Range(0, 0.99),
    "crop": Range(0.05, 1, otherwise="None for that of the shared layers"),
    "max_missing": Range(0, 1),
    "clip_grad": Range(0, 1e9, above=True, otherwise="None for no limit"),
}
"""For each setting of a recipe that is a number."""


def check(name: str, value: object) -> None:
    """Raise RecipeError unless a setting may have this value."""
    allowed = RANGES[name]
    if not (allowed.fits(value) or (value is None and allowed.otherwise)):
        raise RecipeError(f"{name} is {value!r}; use {allowed}")
