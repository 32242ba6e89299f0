"""The boundary cache: the activations of the frozen stages are computed once, where that pays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nbtransfer.core import events as ev
from nbtransfer.core.recipe import NEW_VIEWS, Solver
from nbtransfer.core.strategy import Phase
from nbtransfer.core.text.counts import byte_size, quantity
from nbtransfer.core.text.durations import duration
from nbtransfer.engine.cache.activations import SPLITS, BothSplits
from nbtransfer.engine.cache.boundary import Boundary
from nbtransfer.engine.context import RunContext
from nbtransfer.engine.data.batches import Batches, TaskData
from nbtransfer.engine.resumable import Resumable
from nbtransfer.errors import RunError

WORTH_IT = 0.95
"""A cache is written where it saves a twentieth: a few measured images tell no finer, and it may take gigabytes."""


@dataclass
class BoundaryCache:
    """Gives each phase its data: pixels, or the activations of the stages that the phase leaves frozen."""

    context: RunContext
    decided_before: Mapping[tuple[str, str], str]
    _last: Boundary | None = None
    _obtained: tuple[str, BothSplits] | None = None

    def inputs(self, phase: Phase, epochs: int, solver: Solver | None, decision_id: str) -> Resumable[TaskData]:
        """The data for a phase whose plan is in force, with so many epochs to come, saying what was decided and how it goes.

        A decision of this id that an earlier attempt made is followed.
        """
        context, count = self.context, phase.plan.boundary(self.context.card)
        if count == 0 or (context.recipe.cache == "off" and solver is None):
            return context.data
        held, self._obtained = self._obtained, None
        self._last = boundary = Boundary(context, count, decision_id)
        choice = self.decided_before.get(("cache", decision_id))
        if choice is None or (choice != "no" and boundary.costs is None):
            decision = self._refused(boundary) or self._decided(boundary, epochs, solver)
            yield replace(decision, moment=decision_id)
            choice = decision.choice
        if choice == "no":
            return context.data
        try:
            both = held[1] if held and held[0] == boundary.key else (yield from boundary.activations())
        except (OSError, RunError) as error:
            if solver:
                raise RunError(
                    f"the features need {byte_size(boundary.bytes)} ({error}); free space, or use probe='sgd'"
                ) from error
            yield ev.Decided("cache", "no", f"what leaves {boundary.layer} cannot be kept ({error})", moment=decision_id)
            return context.data
        self._obtained = boundary.key, both
        train, val = (boundary.batches(both, split) for split in SPLITS)
        return TaskData(train, val, context.data.test)

    def exact_val(self) -> Batches:
        """Validation as the present model sees it in fp32: from the cache where that holds just this."""
        if self._last and self._obtained and self.context.recipe.cache_dtype in (None, "fp32"):
            key, both = self._obtained
            now = Boundary(self.context, self._last.count, self._last.decision)
            if key == now.key:  # no stage before the boundary has learned meanwhile
                return self._last.batches(both, "val")
        return self.context.data.val

    def _refused(self, boundary: Boundary) -> ev.Decided | None:
        if not self.context.model.backbone.divisible and boundary.count < len(self.context.model.card.stages):
            return ev.Decided("cache", "no", "this architecture can be left behind its last stage only")
        if self.context.data.train.images.views is None:
            return ev.Decided("cache", "no", NEW_VIEWS)
        return None

    def _decided(self, boundary: Boundary, epochs: int, solver: Solver | None) -> ev.Decided:
        """Whether to keep what leaves a boundary, with the reason and the times that are expected."""
        measured = boundary.costs
        if measured is None:
            return ev.Decided("cache", "no", "no image to measure on could be decoded")
        kept, wanted, room = boundary.is_stored, boundary.bytes, boundary.room
        amount = f"what leaves {boundary.layer} is {byte_size(wanted)} for {quantity(boundary.views, 'view')} of each image"
        if wanted > room and not solver:  # features that are solved on are needed once, and in memory anyway
            return ev.Decided("cache", "no", f"{amount}, and there is room for {byte_size(room)}")
        train, val = (len(boundary.split(split).images) for split in SPLITS)
        plain = measured.plain(epochs, train, val)
        build = 0.0 if kept else measured.build(train, val, boundary.views)
        cached = build + measured.from_cache(epochs, train, val)
        source = f" from what leaves {self.context.model.card.stages[measured.nearer - 1]}" if measured.nearer else ""
        said = f"{amount}, {'computed before' if kept else f'computed once{source}'}: {duration(cached)} expected"
        if solver:
            return ev.Decided("cache", boundary.layer, said, cached)
        if cached < (plain if kept else WORTH_IT * plain) or self.context.recipe.cache == "on":
            return ev.Decided("cache", boundary.layer, f"{said} instead of {duration(plain)}", cached, plain)
        larger = measured.layouts["train"].bytes > 3 * self.context.model.spec.size**2
        why = ", more than the images themselves" if larger else ""
        little = ", too little to be worth it" if cached < plain else ""
        said = f"{amount}{why}; keeping it would take {duration(cached)} instead of {duration(plain)}{little}"
        return ev.Decided("cache", "no", said, plain, cached)
