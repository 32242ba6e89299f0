"""Find activations on the disk, and check that they are still valid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from nbtransfer.core.codec import from_plain, to_plain
from nbtransfer.core.messages import Message
from nbtransfer.core.task import Split
from nbtransfer.engine.cache.activations import SPLITS, Activations, BothSplits, Layout, read_rows
from nbtransfer.engine.cache.key import CacheKeys
from nbtransfer.engine.cache.prefix import Folding
from nbtransfer.engine.context import RunContext
from nbtransfer.store import caches


@dataclass(frozen=True)
class StoredActivations:
    """The activations in a cache, and the folding of normalisation layers they were computed with."""

    activations: BothSplits
    folding: Folding | None


@dataclass
class Lookup:
    """Finds activations stored by this run or another."""

    context: RunContext
    keys: CacheKeys

    @property
    def is_shared(self) -> bool:
        """Whether activations are stored on the disk, for other runs too.

        Not those of a custom dataset: its images may change without a trace.
        """
        return self.context.recipe.cache != "off" and self.context.recipe.task.kind != "code"

    def find(self, count: int) -> StoredActivations | None:
        """The stored activations of the first `count` stages; None if there are none, or if they are being removed.

        If an image that could not be decoded then can be decoded now, the cache without it is invalid and is removed.
        """
        cache = caches.find(self.keys.key(count)) if self.is_shared else None
        if cache is None:
            return None
        try:
            stored = read_cache(cache)
        except OSError:
            return None
        if any(self._is_decodable(split, number) for split in SPLITS for number in stored.activations[split].failed):
            caches.remove(cache.key)
            return None
        return stored

    def find_nearest(self, count: int) -> tuple[int, BothSplits | None]:
        """Where to start computing the first `count` stages: the nearest stored boundary before them, else the images.

        Only activations without loss of precision qualify.
        """
        lossless = self.context.recipe.cache_dtype in (None, "fp32")
        for number in range(count - 1, 0, -1) if lossless else ():
            stored = self.find(number)
            if stored is not None:
                return number, stored.activations
        return 0, None

    def _is_decodable(self, split: Split, number: int) -> bool:
        images = self.context.data.of(split).images
        return isinstance(images[0, number][1], torch.Tensor)


def read_cache(cache: caches.Cache) -> StoredActivations:
    """The activations in a cache; raises OSError if they are being removed."""
    caches.use(cache)
    both: BothSplits = {}
    for split in SPLITS:
        facts = cache.facts["splits"][split]
        layout = from_plain(Layout, facts["layout"])
        failed = {number: from_plain(Message, reason) for number, reason in facts["failed"]}
        rows = read_rows(cache.folder / f"{split}.bin", layout, facts["images"] * facts["views"])
        both[split] = Activations(layout, rows, facts["images"], failed)
    folding = cache.facts["folding"]
    return StoredActivations(both, from_plain(Folding, folding) if folding else None)


def cache_facts(both: BothSplits, folding: Folding | None) -> dict[str, Any]:
    """The facts that `read_cache` needs, apart from the values."""
    splits = {
        split: {"images": a.images, "views": a.views, "failed": list(a.failed.items()), "layout": to_plain(a.layout)}
        for split, a in both.items()
    }
    return {"splits": splits, "folding": to_plain(folding)}
