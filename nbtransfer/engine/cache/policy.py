"""The boundary cache: compute the activations of the frozen stages once, if that saves time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

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
    _chosen: dict[str, str] = field(init=False)
    _current: tuple[str, BothSplits] | None = None

    def __post_init__(self) -> None:
        self._chosen = {
            decision_id: choice for (subject, decision_id), choice in self.past_choices.items() if subject == "cache"
        }

    def inputs(self, phase: Phase, epochs: int, solver: Solver | None, decision_id: str) -> Resumable[TaskData]:
        """The inputs of a phase whose plan is applied, with `epochs` left. Yields its decisions and the progress of a build.

        Follows an earlier attempt's decision of the same id.
        """
        context, count = self.context, phase.plan.boundary(self.context.card)
        if count == 0 or (context.recipe.cache == "off" and solver is None):
            return context.data
        boundary = Boundary(context, count, decision_id)
        choice = self._chosen.get(decision_id)
        if choice is None or (choice != "no" and boundary.costs is None):
            decision = self._decide(boundary, epochs, solver)
            yield replace(decision, id=decision_id)
            choice = self._chosen[decision_id] = decision.choice
        if choice == "no":
            return context.data
        try:
            both = yield from self._activations(boundary)
        except (OSError, RunError) as error:
            if solver:
                raise RunError(
                    f"the features need {byte_size(boundary.bytes)} ({error}); free space, or use probe='sgd'"
                ) from error
            self._chosen[decision_id] = "no"
            yield ev.Decided("cache", "no", message("cache.error", layer=boundary.layer, error=str(error)), id=decision_id)
            return context.data
        train, val = (boundary.batches(both, split) for split in SPLITS)
        return TaskData(train, val, context.data.test)

    def exact_val(self) -> Resumable[Batches]:
        """The validation batches in fp32 for the best model: activations of stages that never learn, if a phase used such.

        What is still in memory or on the disk decides how long that takes, not what comes out.
        """
        context, stages = self.context, self.context.card.stages
        counts = [(stages.index(choice) + 1, decision) for decision, choice in self._chosen.items() if choice in stages]
        usable = [found for found in counts if found[0] <= context.training_plan.never_learning]
        if not usable or context.recipe.cache_dtype not in (None, "fp32"):
            return context.data.val
        boundary = Boundary(context, *max(usable))
        try:
            return boundary.batches((yield from self._activations(boundary)), "val")
        except (OSError, RunError) as error:  # they were there before; there is no room for them now
            yield ev.Warned(message("cache.error", layer=boundary.layer, error=str(error)))
            return context.data.val

    def _activations(self, boundary: Boundary) -> Resumable[BothSplits]:
        """Those in memory, if they are of this boundary."""
        if self._current is None or self._current[0] != boundary.key:
            self._current = None  # gives its memory back before more is taken
            self._current = boundary.key, (yield from boundary.activations())
        return self._current[1]

    def _decide(self, boundary: Boundary, epochs: int, solver: Solver | None) -> ev.Decided:
        """Decide whether to cache the activations, with the reason and the expected times."""
        if self.context.data.train.images.views is None:
            return ev.Decided("cache", "no", message("cache.new_views"))
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
        if costs.layouts["train"].bytes > 3 * self.context.model.spec.pixels:
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
