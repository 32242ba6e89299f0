"""The key of activations: a digest of everything they depend on."""

from __future__ import annotations

import functools
import hashlib
from typing import Any

from nbtransfer.core.codec import dumps
from nbtransfer.core.recipe import OWN_NET
from nbtransfer.engine.context import RunContext
from nbtransfer.engine.model.freezing import digest
from nbtransfer.engine.versions import computing_versions

FORMAT = 3


class CacheKeys:
    """The keys of a run's boundaries, for the weights at the time of the first key."""

    def __init__(self, context: RunContext, views: int, batch_size: int) -> None:
        self._context, self._views, self._batch_size = context, views, batch_size

    def key(self, count: int) -> str:
        """The digest of everything that the activations of the first `count` stages depend on."""
        context, r = self._context, self._context.recipe
        facts = {
            "format": FORMAT, "task": r.task.digest, "input": context.model.spec, "augment": r.augment,
            "transform": (r.transform, [c.sha256 for c in r.code]) if r.transform else None,
            "views": self._views, "seed": r.seed if r.transform or set(r.augment) - {"flip", "flip_vertical"} else None,
            "backbone": context.card.built_as, "stages": self._digests[:count], "dtype": r.cache_dtype, "fold": r.fold,
            "precision": context.device.precision, "device": context.device.torch.type, "batch": self._batch_size,
            "versions": computing_versions(context.card.origin), **self._place(count),
        }  # fmt: skip
        return hashlib.sha256(dumps(facts).encode()).hexdigest()[:32]

    def _place(self, count: int) -> dict[str, Any]:
        """Where a spliced model is left, and the code of one's own: the same tensors may be used in other ways."""
        card, recipe = self._context.card, self._context.recipe
        end = {"end": card.ends[count - 1]} if count <= len(card.ends) else {}
        own = card.built_as.startswith(OWN_NET)
        return {**end, "code": [code.sha256 for code in recipe.code]} if own else end

    @functools.cached_property
    def _digests(self) -> list[str]:
        """For each stage, the sha256 of its parameters and buffers."""
        model, card = self._context.model, self._context.card
        layers = {stage: [x.name for x in card.layers if x.stage == stage] for stage in card.stages}
        return [digest(t for name in layers[stage] for t in model.tensors(name).values()) for stage in card.stages]
