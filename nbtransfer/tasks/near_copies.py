"""Find images that are copies of one another though their bytes differ: re-encoded, resized or mirrored.

Each image is brought to 16 × 16 grey values of mean 0 and norm 1. Copies are pairs whose values agree but for a small angle,
also after mirroring. They are found with locality-sensitive hashing of random projections (Charikar 2002): of each band of
bits, only images that agree in all of them are compared, and never more than a few, so that the time grows with the number
of images and not with that of pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

SIDE, LEAST_CONTRAST = 16, 1.0
ENOUGH_PIXELS = 8 * SIDE
"""Pixels on the shorter side that are enough for a signature, where an image can be decoded at reduced size."""
SMALLEST_COSINE = 0.98
BANDS, BITS = 10, 14
MOST_COMPARED, MOST_MATCHES = 64, 8

How = Literal["copied", "mirrored"]
Array = np.ndarray[Any, Any]
_PROJECTIONS = np.random.default_rng(20020519).standard_normal((SIDE * SIDE, BANDS * BITS)).astype(np.float32)
_PLACES = 1 << np.arange(BITS)


@dataclass(frozen=True, slots=True)
class NearCopy:
    """The numbers of two images, the smaller first, and how the second was made of the first, or the other way round."""

    first: int
    second: int
    how: How


def signature(image: Image.Image) -> Array | None:
    """What is compared of an image, float32 (256,); None where it has hardly any contrast: such images all look alike."""
    values = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)
    values = values.ravel() - values.mean()
    norm = float(np.linalg.norm(values))
    return values / norm if norm >= LEAST_CONTRAST * SIDE else None


def renumbered(pairs: Iterable[NearCopy], places: Sequence[int | None]) -> Iterator[NearCopy]:
    """Pairs whose two images have another number in `places`; those that have none there are left out."""
    for pair in pairs:
        first, second = places[pair.first], places[pair.second]
        if first is not None and second is not None:
            yield NearCopy(first, second, pair.how)


def near_copies(signatures: Sequence[Array | None], digests: Sequence[str]) -> Iterator[NearCopy]:
    """All pairs of copies, each once; of an image with very many copies, only some of its pairs.

    Exact copies have the same digest, by which they are found elsewhere: only the first of them is looked at here.
    """
    first = {digest: number for number, digest in reversed(list(enumerate(digests)))}
    chosen = {n: each for n, each in enumerate(signatures) if each is not None and first[digests[n]] == n}
    if len(chosen) < 2:
        return
    numbers, plain = np.array(list(chosen), dtype=np.int64), np.stack(list(chosen.values()))
    squares = plain.reshape(-1, SIDE, SIDE)
    found: dict[tuple[int, int], How] = {}
    counts = np.zeros(len(numbers), dtype=np.int64)
    views: tuple[tuple[How, Array], ...] = (
        ("copied", plain),
        ("mirrored", squares[:, :, ::-1].reshape(plain.shape)),
        ("mirrored", squares[:, ::-1].reshape(plain.shape)),
        ("mirrored", squares[:, ::-1, ::-1].reshape(plain.shape)),
    )
    stored = _codes(plain)
    for how, view in views:
        codes = stored if how == "copied" else _codes(view)
        for band in range(BANDS):
            for left, right in _candidates(codes[:, band], stored[:, band], itself=how == "copied"):
                same = np.einsum("nd,nd->n", view[left], plain[right]) >= SMALLEST_COSINE
                for one, other in zip(left[same].tolist(), right[same].tolist(), strict=True):
                    pair = min(one, other), max(one, other)
                    if pair not in found and counts[one] < MOST_MATCHES and counts[other] < MOST_MATCHES:
                        found[pair] = how
                        counts[[one, other]] += 1
    for (one, other), how in sorted(found.items()):
        yield NearCopy(int(numbers[one]), int(numbers[other]), how)


def _codes(values: Array) -> Array:
    """The number that each band of bits makes, (N, bands)."""
    bits = (values @ _PROJECTIONS > 0).reshape(len(values), BANDS, BITS)
    return bits @ _PLACES


def _candidates(asked: Array, stored: Array, *, itself: bool) -> Iterator[tuple[Array, Array]]:
    """Pairs of rows with the same code, as two arrays; of those with very many, only the next ones in order.

    `itself` says that both hold the codes of the same images; then no pair is needed in both directions.
    """
    order = np.argsort(stored, kind="stable")
    first, last = (np.searchsorted(stored[order], asked, side) for side in ("left", "right"))
    size = last - first
    start = np.argsort(order, kind="stable") - first + 1 if itself else np.arange(len(asked)) % np.maximum(size, 1)
    for step in range(MOST_COMPARED):
        rows = np.flatnonzero(start + step < size if itself else step < size)
        if not len(rows):
            return
        others = order[first[rows] + (start[rows] + step) % size[rows]]
        different = others != rows
        yield rows[different], others[different]
