"""The boundary cache: the activations of the frozen stages are computed once, where that pays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nbtransfer.core import events as ev
from nbtransfer.core.messages import Message, message
from nbtransfer.core.recipe import Solver
from nbtransfer.core.strategy import Phase
from nbtransfer.core.text.counts import byte_size
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
    past_choices: Mapping[tuple[str, str], str]
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
        choice = self.past_choices.get(("cache", decision_id))
        if choice is None or (choice != "no" and boundary.costs is None):
            decision = self._refused(boundary) or self._decided(boundary, epochs, solver)
            yield replace(decision, id=decision_id)
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
            yield ev.Decided("cache", "no", message("cache.error", layer=boundary.layer, error=str(error)), id=decision_id)
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
            return ev.Decided("cache", "no", message("cache.whole"))
        if self.context.data.train.images.views is None:
            return ev.Decided("cache", "no", message("cache.new_views"))
        return None

    def _decided(self, boundary: Boundary, epochs: int, solver: Solver | None) -> ev.Decided:
        """Whether to keep what leaves a boundary, with the reason and the times that are expected."""
        measured = boundary.costs
        if measured is None:
            return ev.Decided("cache", "no", message("measure.no_images"))
        kept, wanted, room = boundary.is_stored, boundary.bytes, boundary.room
        amount = message("cache.amount", layer=boundary.layer, size=wanted, views=boundary.views)
        if wanted > room and not solver:  # features that are solved on are needed once, and in memory anyway
            return ev.Decided("cache", "no", message("cache.no_room", amount=amount, room=room))
        train, val = (len(boundary.split(split).images) for split in SPLITS)
        plain = measured.plain(epochs, train, val)
        build = 0.0 if kept else measured.build(train, val, boundary.views)
        cached = build + measured.from_cache(epochs, train, val)
        origin = self._origin(boundary, measured.nearer)
        if solver:
            expected = message("cache.expected", amount=amount, origin=origin, seconds=cached)
            return ev.Decided("cache", boundary.layer, expected, cached)
        if cached < (plain if kept else WORTH_IT * plain) or self.context.recipe.cache == "on":
            pays = message("cache.pays", amount=amount, origin=origin, seconds=cached, otherwise=plain)
            return ev.Decided("cache", boundary.layer, pays, cached, plain)
        if measured.layouts["train"].bytes > 3 * self.context.model.spec.size**2:
            amount = message("cache.large", layer=boundary.layer, size=wanted, views=boundary.views)
        why = message(
            "cache.saves_little" if cached < plain else "cache.slower", amount=amount, seconds=cached, otherwise=plain
        )
        return ev.Decided("cache", "no", why, plain, cached)

    def _origin(self, boundary: Boundary, nearer: int) -> Message:
        """Where the activations come from: the disk, the images, or the boundary after `nearer` stages."""
        if boundary.is_stored:
            return message("cache.stored")
        if nearer:
            return message("cache.computed_from", layer=self.context.model.card.stages[nearer - 1])
        return message("cache.computed")
