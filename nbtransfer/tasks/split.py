"""Divide examples into training, validation and test, class by class and reproducibly."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable, Sequence

from nbtransfer.core.task import Split
from nbtransfer.errors import TaskError


def check_shares(holdout: float, test: float) -> None:
    """Raise TaskError unless the shares leave examples to train on and to validate on."""
    for name, share in (("holdout", holdout), ("test", test)):
        if not isinstance(share, (int, float)) or not 0 <= share < 1:
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


def _deal(blocks: list[list[int]], chosen: list[Split], split: Split, wanted: int) -> list[list[int]]:
    """Assign whole blocks to a split until it has `wanted` examples; the last block always stays for training."""
    given = 0
    while len(blocks) > 1 and given < wanted:
        block = blocks.pop()
        given += len(block)
        for index in block:
            chosen[index] = split
    return blocks
