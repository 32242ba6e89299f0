"""Seeds. The seed of each random choice depends only on what is chosen.

No random state is kept: an epoch is the same in this process or a loader's, in a fresh run or a resumed one.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive_seed(seed: int, *what: int) -> int:
    """A 63-bit seed that depends on all of these numbers."""
    digest = hashlib.blake2b("/".join(map(str, (seed, *what))).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def seed_step(seed: int, epoch: int, batch: int) -> None:
    """Make everything random in a training step (dropout, custom modules) depend on these numbers alone."""
    _seed_all(derive_seed(seed, epoch, batch, -2))


@contextmanager
def fixed_seed(number: int) -> Iterator[None]:
    """Make everything random in the block depend on this number alone, and restore the generators afterwards."""
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
    np.random.seed(number % 2**32)  # noqa: NPY002 - custom code draws from it


def permutation(count: int, seed: int) -> list[int]:
    """A permutation of 0 … count − 1 that depends on the seed."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
