"""Examples as small pictures inside a page, and which answers deserve a look."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from nbtransfer.core.task import Sample
from nbtransfer.errors import CodeError
from nbtransfer.jobs.run import Run
from nbtransfer.tasks.decode import UndecodableError
from nbtransfer.tasks.task import Task


def data_url(task: Task, sample: Sample, size: int) -> str | None:
    """The image of an example, at most `size` pixels wide and high, as a data URL; None when it cannot be had.

    It may be gone or damaged, or be made by code that is not trusted here.
    """
    try:
        image = task.image(sample, about=size)
    except (UndecodableError, CodeError):
        return None
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


MOST_CLASSES, MOST_EXAMPLES, MOST_OF_A_CLASS = 50, 72, 6
"""The first classes are shown, with fewer examples each the more there are."""


def examples(task: Task) -> dict[str, tuple[Sample, ...]]:
    """Some training examples of each class, or of the first ones."""
    names = task.classes[:MOST_CLASSES]
    each = max(1, min(MOST_OF_A_CLASS, MOST_EXAMPLES // len(names)))
    return {name: tuple(task.some(name, each)) for name in names}


@dataclass(frozen=True, slots=True)
class Judged:
    """An example and what the best model says about it; `number` counts within the split."""

    number: int
    sample: Sample
    truth: str
    guess: str
    probability: float

    @property
    def right(self) -> bool:
        return self.truth == self.guess

    @property
    def answer(self) -> str:
        """Truth and guess in words."""
        return f"true: {self.truth}, predicted: {self.guess}"


def worst_first(run: Run, split: str) -> Iterator[Judged]:
    """The answers on a split: wrong ones first, and first among them those that gave the truth the least probability."""
    samples, classes = list(run.task.split(split)), run.task.classes  # type: ignore[arg-type]
    for number, label, probabilities in sorted(run.predictions(split), key=lambda a: (_guess(a[2]) == a[1], a[2][a[1]])):
        guess = _guess(probabilities)
        yield Judged(number, samples[number], classes[label], classes[guess], probabilities[guess])


def _guess(probabilities: Sequence[float]) -> int:
    return max(range(len(probabilities)), key=probabilities.__getitem__)
