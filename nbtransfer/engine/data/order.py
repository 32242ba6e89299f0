"""Which images make up which batch, and in which view. It depends on seed, epoch and image alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from nbtransfer.engine.seeding import derive_seed, permutation

ViewOfImage = tuple[int, int]
"""The number of a view, and the number of the image in its split."""


class Order:
    """The batches of an epoch: images shuffled by seed and epoch, or in manifest order, each in one view.

    Iterates over the batches of epoch `epoch` from number `first` on.

    A last batch of one image, which normalisation layers cannot learn from, is merged into the one before.
    """

    def __init__(self, count: int, batch_size: int, seed: int | None, view: Callable[[int, int], int] | None = None) -> None:
        self._count, self._batch_size, self._seed, self._view = count, batch_size, seed, view
        self.epoch = self.first = 0

    def __len__(self) -> int:
        batches, rest = divmod(self._count, self._batch_size)
        return max(1, batches + (rest > 1 or (rest == 1 and self._seed is None)))

    def __iter__(self) -> Iterator[list[ViewOfImage]]:
        numbers = (
            range(self._count) if self._seed is None else permutation(self._count, derive_seed(self._seed, self.epoch, -1))
        )
        items = [(self._view(self.epoch, number) if self._view else 0, number) for number in numbers]
        for batch in range(self.first, len(self)):
            last = batch == len(self) - 1
            start = batch * self._batch_size
            yield items[start:] if last else items[start : start + self._batch_size]


class Sweep:
    """All views of all images of a split, in batches, view by view."""

    epoch = first = 0

    def __init__(self, images: int, views: int, batch_size: int) -> None:
        self.images, self.views, self._batch_size = images, views, batch_size

    @property
    def count(self) -> int:
        """The number of views of all images together."""
        return self.images * self.views

    def __len__(self) -> int:
        return math.ceil(self.count / self._batch_size)

    def __iter__(self) -> Iterator[list[ViewOfImage]]:
        items = [(view, number) for view in range(self.views) for number in range(self.images)]
        for start in range(0, len(items), self._batch_size):
            yield items[start : start + self._batch_size]
