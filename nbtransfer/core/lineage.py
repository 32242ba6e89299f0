"""From which weights, by which run, shared layers came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nbtransfer.core.text.counts import quantity


@dataclass(frozen=True)
class SourceScore:
    """How well the run that made the weights answers on a split of its own task; `low` and `high` are a 95 % interval."""

    split: str
    metric: str
    value: float
    low: float
    high: float
    examples: int


@dataclass(frozen=True)
class Lineage:
    """How saved shared layers were made.

    task, classes, task_digest  the source task; the digest is that of its examples
    run, strategy               what trained them
    scores                      of the run's best model on its own task
    parent                      the backbone that the run began with, and its weights; None for random ones
    parent_digest               sha256 of these weights
    before                      how they were made in turn, where that is known
    """

    task: str
    task_digest: str
    classes: tuple[str, ...]
    run: str
    strategy: str
    scores: tuple[SourceScore, ...] = ()
    parent: str | None = None
    parent_digest: str | None = None
    before: Lineage | None = None

    @property
    def generations(self) -> Iterator[Lineage]:
        """This one, and those before it."""
        yield self
        if self.before is not None:
            yield from self.before.generations

    def __str__(self) -> str:
        return " ← ".join((*(one.description for one in self.generations), [*self.generations][-1].parent or "random weights"))

    @property
    def description(self) -> str:
        """The source task with its best score, in a few words."""
        best = next(iter(sorted(self.scores, key=lambda score: score.split != "test")), None)
        shown = f", {best.metric} {best.value:.3f} ({best.low:.3f}–{best.high:.3f}, {best.split})" if best else ""
        return f"{self.task} ({quantity(len(self.classes), 'class', 'classes')}{shown})"
