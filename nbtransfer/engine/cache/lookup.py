"""Activations on the disk: whether they are there, and whether they still hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from nbtransfer.core.codec import from_plain, to_plain
from nbtransfer.core.messages import Message
from nbtransfer.engine.cache.activations import SPLITS, Activations, BothSplits, Layout, read_rows
from nbtransfer.engine.cache.key import CacheKeys
from nbtransfer.engine.cache.prefix import Folding
from nbtransfer.engine.context import RunContext
from nbtransfer.store import caches


@dataclass(frozen=True)
class StoredActivations:
    """The activations in a cache, and how many normalisation layers were folded to compute them."""

    activations: BothSplits
    folding: Folding | None


@dataclass
class Lookup:
    """Finds what was computed before, by this run or another."""

    context: RunContext
    keys: CacheKeys

    @property
    def shared(self) -> bool:
        """Whether activations are kept on the disk, for other runs.

        A dataset of the user's own may give something else tomorrow, and nothing would show that.
        """
        return self.context.recipe.cache != "off" and self.context.recipe.task.kind != "code"

    def behind(self, count: int) -> StoredActivations | None:
        """The activations of the first `count` stages; None where there are none, or where they are just being removed.

        An image that could not be decoded then but can be now was away for a while: a cache without it is of no more use.
        """
        cache = caches.find(self.keys.behind(count)) if self.shared else None
        if cache is None:
            return None
        try:
            stored = read(cache)
        except OSError:
            return None
        if any(self._is_decodable(split, number) for split in SPLITS for number in stored.activations[split].failed):
            caches.clear(cache.key)
            return None
        return stored

    def nearest_before(self, count: int) -> tuple[int, BothSplits | None]:
        """Where to start from when computing the first `count` stages: the nearest stored boundary before, else the images.

        Only what is stored exactly as it was computed will do.
        """
        exactly = self.context.recipe.cache_dtype in (None, "fp32")
        for number in range(count - 1, 0, -1) if self.context.model.backbone.divisible and exactly else ():
            stored = self.behind(number)
            if stored is not None:
                return number, stored.activations
        return 0, None

    def _is_decodable(self, split: str, number: int) -> bool:
        images = (self.context.data.train if split == "train" else self.context.data.val).images
        return isinstance(images[0, number][1], torch.Tensor)


def read(cache: caches.Cache) -> StoredActivations:
    """The activations in a cache; raises OSError when they are just being removed."""
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


def facts_of(both: BothSplits, folding: Folding | None) -> dict[str, Any]:
    """What `read` needs to know beside the values."""
    splits = {
        split: {"images": a.images, "views": a.views, "failed": list(a.failed.items()), "layout": to_plain(a.layout)}
        for split, a in both.items()
    }
    return {"splits": splits, "folding": to_plain(folding)}
