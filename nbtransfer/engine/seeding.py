"""Seeds. Each random choice has one that depends on nothing but what is chosen.

No random state is kept: an epoch is the same whether this process or a helper loads it, in a fresh run or a resumed one.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


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
