"""The activations of one boundary: their size, key, and how they are found or built."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from nbtransfer.core import events as ev
from nbtransfer.core.messages import message
from nbtransfer.core.task import Split
from nbtransfer.core.text.counts import byte_size
from nbtransfer.engine.cache import cost_model
from nbtransfer.engine.cache.activations import SPLITS, BothSplits, CachedBatches, Layout
from nbtransfer.engine.cache.build import BuildPlan, build_batch_size
from nbtransfer.engine.cache.key import CacheKeys
from nbtransfer.engine.cache.lookup import Lookup, cache_facts, read_cache
from nbtransfer.engine.context import RunContext
from nbtransfer.engine.data.batches import order
from nbtransfer.engine.device import DTYPES, available_memory
from nbtransfer.engine.resumable import SAFE_POINT, Resumable
from nbtransfer.errors import RunError
from nbtransfer.store import caches

SHARE_OF_MEMORY = 0.25


@dataclass
class Boundary:
    """The boundary after the first `count` stages; `decision` is the id of the decision whether to cache its activations."""

    context: RunContext
    count: int
    decision: str

    @property
    def layer(self) -> str:
        """The last stage before the boundary."""
        return self.context.card.stages[self.count - 1]

    @property
    def views(self) -> int:
        """Views of each training image."""
        return self.context.data.train.images.views or 1

    @functools.cached_property
    def lookup(self) -> Lookup:
        return Lookup(self.context, CacheKeys(self.context, self.views, build_batch_size(self.context)))

    @property
    def key(self) -> str:
        """The key of its activations, for the weights at the first use of `lookup`."""
        return self.lookup.keys.key(self.count)

    @property
    def is_stored(self) -> bool:
        """Whether its activations are on the disk."""
        return self.lookup.find(self.count) is not None

    @functools.cached_property
    def costs(self) -> cost_model.Costs | None:
        """The costs of a phase with and without a cache, measured once; None if no image could be decoded."""
        context, train = self.context, self.context.data.train
        stored = DTYPES[context.recipe.cache_dtype] if context.recipe.cache_dtype else None
        nearer, _ = self.lookup.find_nearest(self.count)
        return cost_model.measure(context.model, train.images, train.workers, nearer, self.count, context.device, stored)

    @property
    def layouts(self) -> Mapping[Split, Layout]:
        assert self.costs is not None
        return self.costs.layouts

    @property
    def bytes(self) -> int:
        """Bytes of the activations of both splits."""
        views = {"train": self.views, "val": 1}
        return sum(len(self.context.data.of(s).images) * views[s] * self.layouts[s].bytes for s in SPLITS)

    @property
    def room(self) -> int:
        """Bytes available for its activations."""
        return caches.room(self.context.recipe.cache_budget) if self.lookup.is_shared else room_in_memory()

    def activations(self) -> Resumable[BothSplits]:
        """Find the activations on the disk, or compute them. In memory if the disk cannot or must not store them."""
        if not self.lookup.is_shared:
            if self.bytes > room_in_memory():
                raise RunError(f"there is room for {byte_size(room_in_memory())} in memory, not for {byte_size(self.bytes)}")
            return (yield from self._plan_build().build(None))[0]
        both = yield from self._find()
        if both is not None:
            return both
        try:
            caches.make_room(self.bytes, self.context.recipe.cache_budget)
            return (yield from self._find_or_build())
        except (OSError, RunError) as error:
            if self.bytes > room_in_memory():
                raise
            yield ev.Warned(message("warn.in_memory", layer=self.layer, error=str(error)))
            return (yield from self._plan_build().build(None))[0]

    def _find(self) -> Resumable[BothSplits | None]:
        """Stored activations, with an event about their folding; None if there are none."""
        stored = self.lookup.find(self.count)
        if stored is None:
            return None
        if stored.folding:
            yield stored.folding.decision(self.decision)
        return stored.activations

    def _find_or_build(self) -> Resumable[BothSplits]:
        """Compute and store the activations; if another run is doing so, wait for it."""
        while True:
            with caches.alone(self.key, waiting=lambda: not self.context.is_interrupted()) as mine:
                both = yield from self._find()
                if both is not None:
                    return both
                if mine:
                    with caches.draft(self.key) as folder:
                        both, folding = yield from self._plan_build().build(folder)
                        about = {"backbone": self.context.card.name, "layer": self.layer, "task": self.context.recipe.task.name}
                        return read_cache(caches.publish(folder, self.key, {**about, **cache_facts(both, folding)})).activations
            yield SAFE_POINT

    def _plan_build(self) -> BuildPlan:
        start, source = self.lookup.find_nearest(self.count)
        return BuildPlan(self.context, self.count, self.layouts, self.views, start, source, self.decision)

    def batches(self, both: BothSplits, split: Split) -> CachedBatches:
        """The batches of a split, in the same order as those of images."""
        images = self.context.data.of(split).images
        activations = both[split].to(self.context.device.torch)
        return CachedBatches(activations, self.count, images, order(self.context.recipe, images, split))


def room_in_memory() -> int:
    """Bytes of main memory available for activations."""
    return int(SHARE_OF_MEMORY * available_memory())
