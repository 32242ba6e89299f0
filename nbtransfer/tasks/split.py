"""Divide examples into training, validation and test, class by class and reproducibly."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence

from nbtransfer.core.scalars import plain
from nbtransfer.core.task import Split
from nbtransfer.core.text.counts import quantity
from nbtransfer.errors import TaskError


def check_shares(holdout: float, test: float) -> None:
    """Raise TaskError unless the shares leave examples to train on and to validate on."""
    for name, share in (("holdout", holdout), ("test", test)):
        if not isinstance(plain(share), (int, float)) or not 0 <= share < 1:
            raise TaskError(f"{name} is {share!r}; use a share from 0 up to 1, such as 0.2")
    if holdout == 0:
        raise TaskError("holdout is 0; keep some examples to validate on, such as holdout=0.2")
    if holdout + test >= 1:
        raise TaskError(f"holdout and test together are {holdout + test:.2f}; leave some examples to train on")


def stratify(
    labels: Sequence[int],
    holdout: float,
    test: float,
    seed: int,
    groups: Sequence[Hashable] | None = None,
    names: Sequence[str] | None = None,
) -> list[Split]:
    """The split of each example; raises TaskError for a class with a single group of examples.

    Within each class, `holdout` and `test` are shares of its examples; at least one validates and at least one trains.
    Examples of one group (such as exact copies) always share a split.
    """
    groups = groups if groups is not None else range(len(labels))
    members: dict[int, dict[Hashable, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, (label, group) in enumerate(zip(labels, groups, strict=True)):
        members[label][group].append(index)
    chosen: list[Split] = ["train"] * len(labels)
    for label in sorted(members):
        blocks = list(members[label].values())
        random.Random(f"{seed}/{label}").shuffle(blocks)
        count = sum(map(len, blocks))
        blocks = _deal(blocks, chosen, "val", max(1, round(count * holdout)))
        _deal(blocks, chosen, "test", round(count * test))
        if count > 1 and len(members[label]) == 1:
            raise TaskError(
                f"all {count} images of class {names[label] if names else label} are copies of one; add different ones"
            )
    return chosen


def divide_groups(
    labels: Sequence[int], holdout: float, test: float, seed: int, groups: Sequence[Hashable], names: Sequence[str]
) -> list[Split]:
    """The split of each example where groups may hold examples of several classes; each group is in one split.

    The largest groups are dealt first, each to the split that then lacks least of its share of each class. Raises TaskError
    for a class whose examples are all in one group.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    blocks = [(block, Counter(labels[index] for index in block)) for block in members.values()]
    random.Random(f"{seed}/groups").shuffle(blocks)
    blocks.sort(key=lambda block: -len(block[0]))
    totals = Counter(labels)
    shares: dict[Split, float] = {"train": 1 - holdout - test, "val": holdout, "test": test}
    counts: dict[Split, Counter[int]] = {side: Counter() for side, share in shares.items() if share}
    sides: list[Split] = []

    def excess(side: Split, added: Counter[int]) -> float:
        """How much further from its shares a split would be."""
        lacking = {label: shares[side] * totals[label] - counts[side][label] for label in added}
        return sum(((added[label] - lacking[label]) ** 2 - lacking[label] ** 2) / totals[label] for label in added)

    for _, added in blocks:
        sides.append(min(counts, key=lambda side: excess(side, added)))
        counts[sides[-1]].update(added)
    for side in counts:
        for label in sorted(totals):
            if not counts[side][label]:
                _move_one(side, label, [added for _, added in blocks], sides, counts, names)
    chosen: list[Split] = ["train"] * len(labels)
    for (block, _), side in zip(blocks, sides, strict=True):
        for index in block:
            chosen[index] = side
    return chosen


def _move_one(
    to: Split,
    label: int,
    blocks: Sequence[Counter[int]],
    sides: list[Split],
    counts: Mapping[Split, Counter[int]],
    names: Sequence[str],
) -> None:
    """Move the smallest group with examples of a class to a split that has none, unless another would then have none."""
    for number in sorted(range(len(blocks)), key=lambda number: blocks[number].total()):
        block, source = blocks[number], sides[number]
        if block[label] and source != to and all(counts[source][each] > count for each, count in block.items()):
            counts[source].subtract(block)
            counts[to].update(block)
            sides[number] = to
            return
    having = sum(1 for block in blocks if block[label])
    raise TaskError(
        f"the examples of class {names[label]} are in {quantity(having, 'group')}, too few to have some in each split; use "
        "smaller groups, or folders train and val"
    )


def _deal(blocks: list[list[int]], chosen: list[Split], split: Split, wanted: int) -> list[list[int]]:
    """Assign whole blocks to a split until it has `wanted` examples; the last block always stays for training."""
    given = 0
    while len(blocks) > 1 and given < wanted:
        block = blocks.pop()
        given += len(block)
        for index in block:
            chosen[index] = split
    return blocks
