"""Which images make which batch, and in which view: it depends on seed, epoch and image alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from nbtransfer.engine.seeding import seed_of, shuffled

ViewOfImage = tuple[int, int]
"""A view of an image, and the number of the image in its split."""


class Order:
    """Which images make which batch of an epoch: shuffled by seed and epoch, or in manifest order, and in which view.

    The batches of epoch number `epoch` are iterated over, from number `first` on.

    A last batch of a single image, which normalisation layers cannot learn from, joins the one before.
    """

    def __init__(self, count: int, batch_size: int, seed: int | None, view: Callable[[int, int], int] | None = None) -> None:
        self._count, self._batch_size, self._seed, self._view = count, batch_size, seed, view
        self.epoch = self.first = 0

    def __len__(self) -> int:
        batches, rest = divmod(self._count, self._batch_size)
        return max(1, batches + (rest > 1 or (rest == 1 and self._seed is None)))

    def __iter__(self) -> Iterator[list[ViewOfImage]]:
        numbers = range(self._count) if self._seed is None else shuffled(self._count, seed_of(self._seed, self.epoch, -1))
        drawn = [(self._view(self.epoch, number) if self._view else 0, number) for number in numbers]
        for batch in range(self.first, len(self)):
            last = batch == len(self) - 1
            start = batch * self._batch_size
            yield drawn[start:] if last else drawn[start : start + self._batch_size]


class Sweep:
    """All views of all images of a split in batches, view after view."""

    epoch = first = 0

    def __init__(self, images: int, views: int, batch_size: int) -> None:
        self.images, self.views, self._batch_size = images, views, batch_size

    @property
    def count(self) -> int:
        """All views of all images."""
        return self.images * self.views

    def __len__(self) -> int:
        return math.ceil(self.count / self._batch_size)

    def __iter__(self) -> Iterator[list[ViewOfImage]]:
        drawn = [(view, number) for view in range(self.views) for number in range(self.images)]
        for start in range(0, len(drawn), self._batch_size):
            yield drawn[start : start + self._batch_size]
