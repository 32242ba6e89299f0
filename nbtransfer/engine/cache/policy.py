"""The boundary cache: compute the activations of the frozen stages once, if that saves time."""

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
"""A cache must save 5 %: measurements on a few images are no more precise, and it may take gigabytes."""


@dataclass
class BoundaryCache:
    """Chooses the inputs of each phase: pixels, or the activations of its frozen stages."""

    context: RunContext
    past_choices: Mapping[tuple[str, str], str]
    _last: Boundary | None = None
    _current: tuple[str, BothSplits] | None = None

    def inputs(self, phase: Phase, epochs: int, solver: Solver | None, decision_id: str) -> Resumable[TaskData]:
        """The inputs of a phase whose plan is applied, with `epochs` left. Yields its decisions and the progress of a build.

        Follows an earlier attempt's decision of the same id.
        """
        context, count = self.context, phase.plan.boundary(self.context.card)
        if count == 0 or (context.recipe.cache == "off" and solver is None):
            return context.data
        previous, self._current = self._current, None
        self._last = boundary = Boundary(context, count, decision_id)
        choice = self.past_choices.get(("cache", decision_id))
        if choice is None or (choice != "no" and boundary.costs is None):
            decision = self._refusal(boundary) or self._decide(boundary, epochs, solver)
            yield replace(decision, id=decision_id)
            choice = decision.choice
        if choice == "no":
            return context.data
        try:
            both = previous[1] if previous and previous[0] == boundary.key else (yield from boundary.activations())
        except (OSError, RunError) as error:
            if solver:
                raise RunError(
                    f"the features need {byte_size(boundary.bytes)} ({error}); free space, or use probe='sgd'"
                ) from error
            yield ev.Decided("cache", "no", message("cache.error", layer=boundary.layer, error=str(error)), id=decision_id)
            return context.data
        self._current = boundary.key, both
        train, val = (boundary.batches(both, split) for split in SPLITS)
        return TaskData(train, val, context.data.test)

    def exact_val(self) -> Batches:
        """The validation batches in fp32 for the current model, from the cache if it is still valid."""
        if self._last and self._current and self.context.recipe.cache_dtype in (None, "fp32"):
            key, both = self._current
            now = Boundary(self.context, self._last.count, self._last.decision)
            if key == now.key:  # no stage before the boundary has changed since
                return self._last.batches(both, "val")
        return self.context.data.val

    def _refusal(self, boundary: Boundary) -> ev.Decided | None:
        if not self.context.model.backbone.divisible and boundary.count < len(self.context.model.card.stages):
            return ev.Decided("cache", "no", message("cache.whole"))
        if self.context.data.train.images.views is None:
            return ev.Decided("cache", "no", message("cache.new_views"))
        return None

    def _decide(self, boundary: Boundary, epochs: int, solver: Solver | None) -> ev.Decided:
        """Decide whether to cache the activations, with the reason and the expected times."""
        costs = boundary.costs
        if costs is None:
            return ev.Decided("cache", "no", message("measure.no_images"))
        is_stored, size, room = boundary.is_stored, boundary.bytes, boundary.room
        amount = message("cache.amount", layer=boundary.layer, size=size, views=boundary.views)
        if size > room and not solver:  # a solver needs the features once, and in memory anyway
            return ev.Decided("cache", "no", message("cache.no_room", amount=amount, room=room))
        train, val = (len(self.context.data.of(split).images) for split in SPLITS)
        plain = costs.without_cache(epochs, train, val)
        build = 0.0 if is_stored else costs.build(train, val, boundary.views)
        cached = build + costs.with_cache(epochs, train, val)
        origin = self._origin(is_stored, costs.nearer)
        if solver:
            expected = message("cache.expected", amount=amount, origin=origin, seconds=cached)
            return ev.Decided("cache", boundary.layer, expected, cached)
        if cached < (plain if is_stored else WORTH_IT * plain) or self.context.recipe.cache == "on":
            pays = message("cache.pays", amount=amount, origin=origin, seconds=cached, otherwise=plain)
            return ev.Decided("cache", boundary.layer, pays, cached, plain)
        if costs.layouts["train"].bytes > 3 * self.context.model.spec.size**2:
            amount = message("cache.large", layer=boundary.layer, size=size, views=boundary.views)
        why = message(
            "cache.saves_little" if cached < plain else "cache.slower", amount=amount, seconds=cached, otherwise=plain
        )
        return ev.Decided("cache", "no", why, plain, cached)

    def _origin(self, is_stored: bool, nearer: int) -> Message:
        """Where the activations come from: the disk, the images, or the boundary after `nearer` stages."""
        if is_stored:
            return message("cache.stored")
        if nearer:
            return message("cache.computed_from", layer=self.context.model.card.stages[nearer - 1])
        return message("cache.computed")
