"""Scores of a trained model, with intervals."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from nbtransfer.core.text.tables import html_table, text_table


class Interval(NamedTuple):
    """A 95 % confidence interval of a proportion."""

    low: float
    high: float


def wilson(successes: int, trials: int, z: float = 1.959963984540054) -> Interval:
    """Wilson score interval of a proportion (Wilson 1927, JASA 22:209). Accurate for small samples and near 0 and 1."""
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} successes in {trials} trials have no interval")
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    # At the ends the bounds are exact; rounding must not push them past the share.
    return Interval(centre - half if successes else 0.0, centre + half if successes < trials else 1.0)


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Scores of one class. `recall` and `precision` are None without any example or prediction."""

    name: str
    examples: int
    recall: float | None
    recall_interval: tuple[float, float] | None
    precision: float | None
    precision_interval: tuple[float, float] | None
    f1: float | None


@dataclass(frozen=True)
class Evaluation:
    """A confusion matrix and the scores derived from it.

    `confusion[i][j]` counts examples of class i that were predicted as class j. `loss` is the mean cross-entropy in nats.
    """

    split: str
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    loss: float

    @property
    def examples(self) -> int:
        return sum(map(sum, self.confusion))

    @property
    def correct(self) -> int:
        return sum(row[i] for i, row in enumerate(self.confusion))

    @property
    def accuracy(self) -> float:
        return self.correct / self.examples

    @property
    def interval(self) -> Interval:
        """95 % Wilson interval of the accuracy."""
        return wilson(self.correct, self.examples)

    def per_class(self) -> tuple[ClassScore, ...]:
        """Recall, precision and F1 of each class, with Wilson intervals."""
        return tuple(self._score(i) for i in range(len(self.classes)))

    def _score(self, i: int) -> ClassScore:
        hits, examples = self.confusion[i][i], sum(self.confusion[i])
        predicted = sum(row[i] for row in self.confusion)
        return ClassScore(
            name=self.classes[i],
            examples=examples,
            recall=hits / examples if examples else None,
            recall_interval=wilson(hits, examples) if examples else None,
            precision=hits / predicted if predicted else None,
            precision_interval=wilson(hits, predicted) if predicted else None,
            f1=2 * hits / (examples + predicted) if examples + predicted else None,
        )

    def most_confused(self, most: int) -> list[tuple[str, str, int, int]]:
        """The pairs of classes mistaken most often: the true one, the predicted one, how often, and of how many examples."""
        pairs = [
            (self.classes[i], self.classes[j], n, sum(row))
            for i, row in enumerate(self.confusion)
            for j, n in enumerate(row)
            if n and i != j
        ]
        return sorted(pairs, key=lambda pair: -pair[2])[:most]

    HEADER: ClassVar = ("class", "examples", "recall (95 %)", "precision (95 %)", "F1")

    def rows(self) -> Iterator[tuple[object, ...]]:
        """Per-class scores as table cells."""
        for s in self.per_class():
            f1 = "–" if s.f1 is None else f"{s.f1:.3f}"
            yield (
                s.name,
                s.examples,
                _with_interval(s.recall, s.recall_interval),
                _with_interval(s.precision, s.precision_interval),
                f1,
            )

    def table(self) -> str:
        """Per-class scores as text."""
        return text_table(self.HEADER, self.rows())

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{html_table(self.HEADER, self.rows())}"

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"Evaluation({self.split!r}, accuracy {self.accuracy:.3f} "
            f"(95 % {low:.3f}–{high:.3f}), {self.correct} of {self.examples})"
        )


def _with_interval(value: float | None, span: tuple[float, float] | None) -> str:
    return "–" if value is None or span is None else f"{value:.3f} ({span[0]:.3f}–{span[1]:.3f})"


def evaluation(split: str, classes: Sequence[str], labels: Sequence[int], predicted: Sequence[int], loss: float) -> Evaluation:
    """Count predictions into an Evaluation. `labels` and `predicted` hold class numbers."""
    counts = [[0] * len(classes) for _ in classes]
    for label, prediction in zip(labels, predicted, strict=True):
        counts[label][prediction] += 1
    return Evaluation(split, tuple(classes), tuple(map(tuple, counts)), loss)
