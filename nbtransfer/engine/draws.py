"""What is drawn at random, each time from a seed that depends on nothing but what is drawn.

Nothing here keeps random state: an epoch is the same whether this process or a helper loads it, in a fresh run or in one
that goes on in the middle.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

Drawn = tuple[int, int]
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

    def __iter__(self) -> Iterator[list[Drawn]]:
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

    def __iter__(self) -> Iterator[list[Drawn]]:
        drawn = [(view, number) for view in range(self.views) for number in range(self.images)]
        for start in range(0, len(drawn), self._batch_size):
            yield drawn[start : start + self._batch_size]


def seed_of(seed: int, *what: int) -> int:
    """A seed of 63 bits that depends on all of these numbers."""
    digest = hashlib.blake2b("/".join(map(str, (seed, *what))).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def begin_step(seed: int, epoch: int, batch: int) -> None:
    """Let whatever draws at random in a step of training (dropout, a user's own module) depend on these alone."""
    _seed_all(seed_of(seed, epoch, batch, -2))


@contextmanager
def seeded(number: int) -> Iterator[None]:
    """Let whatever draws at random in here depend on this number alone, and nothing that draws afterwards."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        _seed_all(number)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002


def _seed_all(number: int) -> None:
    torch.manual_seed(number)
    random.seed(number)
    np.random.seed(number % 2**32)  # noqa: NPY002 - what others draw from


def shuffled(count: int, seed: int) -> list[int]:
    """The numbers from 0 up to `count` in an order that depends on the seed."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
