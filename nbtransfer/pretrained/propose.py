"""Where a model might be cut: between the parts that its forward pass calls one after the other.

The parts are the calls in the model's own forward; where one of them holds most of the parameters (a list of blocks, an
encoder), the calls within it take its place. A stage begins with each part of some weight, and what is lighter (a
normalisation, a pooling, positions) belongs to the stage before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from nbtransfer.pretrained.calls import Call, TensorShape

ENOUGH = 4
"""So many parts of some weight make a useful cut; parts are divided until there are as many."""
SHARE = 0.005
"""The share of all parameters from which on a part has some weight."""
MOST_ROUNDS = 6


@dataclass(frozen=True)
class Proposal:
    """The parts of a model, and its boundaries: for each, the calls it may lie after, the best one first.

    A boundary without such a call cannot be: the parts before it hand on several tensors, or are called several times.
    """

    parts: tuple[Call, ...]
    boundaries: tuple[tuple[Call, ...], ...]


def proposals(net: nn.Module, calls: Sequence[Call]) -> Iterator[Proposal]:
    """First as coarse as there are enough parts, then finer and finer."""
    sizes = {name: sum(p.numel() for p in module.parameters()) for name, module in net.named_modules()}
    heavy = {name for name, size in sizes.items() if size >= SHARE * sizes[""] and size}
    parts, previous = [call for call in calls if call.inside is None], list[Call]()
    for _ in range(MOST_ROUNDS):
        while parts == previous or sum(call.module in heavy for call in parts) < ENOUGH:
            divided = _divided(parts, calls, sizes, heavy)
            if divided is None:
                break
            parts = divided
        if parts == previous:
            return
        previous = parts
        yield Proposal(tuple(parts), tuple(_boundaries(parts, calls, sizes, heavy)))


def stated(calls: Sequence[Call], ends: Sequence[str]) -> Proposal:
    """The boundaries that a model states itself, by the modules that end its stages."""
    found = sorted((call for call in calls if call.module in ends), key=lambda call: call.end)
    times = [call.module for call in calls]
    fit = [call for call in found if _is_activation(call.result) and times.count(call.module) == 1]
    return Proposal(tuple(found), tuple((call,) for call in fit))


def _divided(parts: list[Call], calls: Sequence[Call], sizes: dict[str, int], heavy: set[str]) -> list[Call] | None:
    """The parts with the largest that consists of others in place of itself; None if there is none."""
    for largest in sorted((call for call in parts if call.module in heavy), key=lambda call: -sizes[call.module]):
        inside = [call for call in calls if call.inside is largest]
        if any(call.module in heavy for call in inside):
            at = next(number for number, call in enumerate(parts) if call is largest)
            return [*parts[:at], *inside, *parts[at + 1 :]]
    return None


def _boundaries(parts: list[Call], calls: Sequence[Call], sizes: dict[str, int], heavy: set[str]) -> Iterator[tuple[Call, ...]]:
    """One before each part of some weight but the first, and one after the last of them."""
    begins = [number for number, call in enumerate(parts) if call.module in heavy]
    times = [call.module for call in calls]
    for before in (*begins, *(number + 1 for number in begins[-1:])):
        ends: list[Call] = []
        for call in reversed(parts[:before]):
            if _is_activation(call.result) and times.count(call.module) == 1:
                ends.append(call)
            if sizes[call.module] and ends:
                break
        if before:
            yield tuple(sorted(ends, key=lambda call: _is_pooled(call.result)))  # where there are places left to look at


def _is_pooled(result: TensorShape) -> bool:
    return len(result.base) == 2 or result.base[1:].count(1) > 1


def _is_activation(result: object) -> bool:
    return isinstance(result, TensorShape) and result.is_batch and result.dtype.is_floating_point
