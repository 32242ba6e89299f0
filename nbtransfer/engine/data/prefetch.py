"""Do the next thing while the last one is being used."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetch(things: Iterable[T], depth: int = 2) -> Iterator[T]:
    """The same things in the same order, made by a thread that is up to `depth` of them ahead."""
    iterator, end = iter(things), object()
    with ThreadPoolExecutor(1, "nbtransfer-ahead") as pool:
        coming = deque(pool.submit(next, iterator, end) for _ in range(depth))
        while (thing := coming.popleft().result()) is not end:
            coming.append(pool.submit(next, iterator, end))
            yield thing  # type: ignore[misc]
