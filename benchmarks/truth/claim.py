"""A claim, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Claim:
    """What is claimed, how it was checked, on how many cases of what, and what was found; it holds if none `failed`."""

    what: str
    how: str
    cases: str
    found: str
    failed: int

    @property
    def holds(self) -> bool:
        return not self.failed

    def row(self) -> str:
        """One line of a Markdown table."""
        result = self.found if self.holds else f"**{self.failed} failed**; {self.found}"
        return f"| {self.what} | {self.how} | {self.cases} | {result} |"


class Check(Protocol):
    """Checks one claim; `quick` takes a few cases only."""

    def __call__(self, *, quick: bool) -> Claim: ...
