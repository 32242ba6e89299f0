"""From usable images to the manifest: which are used, and in which split."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from nbtransfer.core.task import Sample, Split
from nbtransfer.errors import TaskError
from nbtransfer.tasks import split
from nbtransfer.tasks.check import Usable
from nbtransfer.tasks.groups import Groups, check_sides, groups_of, joined
from nbtransfer.tasks.scan import Scan

Shares = tuple[float, float, int]
"""Of validation and test, and the seed that chooses them."""


def samples_of(
    root: Path, images: Sequence[Usable], classes: tuple[str, ...], result: Scan, shares: Shares, groups: Groups | None
) -> tuple[Sample, ...]:
    """The manifest. Where no folder validates or tests, a share of each class does; where only val is missing, of train."""
    numbers = {name: number for number, name in enumerate(classes)}
    copy_of = {path: group[0] for group in result.duplicates for path in group}
    labels = [numbers[image.label] for image in images]
    copies = [copy_of.get(str(image.path), str(image.path)) for image in images]
    sources = [os.path.relpath(image.path, root) for image in images]
    column = None if groups is None else groups_of(groups, sources)
    sides = [image.split for image in images]
    if not any(side in ("val", "test") for side in sides):
        sides = list(divide(labels, classes, shares, copies, sources, column))
    else:
        if column is not None:
            check_sides(column, sides)
        if "val" not in sides:
            train = [i for i, side in enumerate(sides) if side == "train"]
            inner = None if column is None else [column[i] for i in train]
            known = [[values[i] for i in train] for values in (copies, sources)]
            chosen = divide([labels[i] for i in train], classes, (shares[0], 0.0, shares[2]), known[0], known[1], inner)
            for i, side in zip(train, chosen, strict=True):
                sides[i] = side
    return tuple(
        Sample(source, label, side or "train", image.digest)
        for source, image, label, side in zip(sources, images, labels, sides, strict=True)
    )


def divide(
    labels: Sequence[int],
    classes: Sequence[str],
    shares: Shares,
    copies: Sequence[str],
    sources: Sequence[str],
    groups: Groups | None,
) -> list[Split]:
    """Class by class where no groups are given: exact copies are of one class. Groups may hold several classes."""
    if groups is None:
        return split.stratify(labels, *shares, copies, classes)
    return split.divide_groups(labels, *shares, joined(groups_of(groups, sources), copies), classes)


def limit_per_class(images: list[Usable], per_class: int | None, seed: int) -> list[Usable]:
    """At most so many images of each class in each split, chosen by the seed; raises TaskError."""
    if per_class is None:
        return images
    if per_class < 2:
        raise TaskError(f"per_class is {per_class}; each class needs at least 2 images")
    members: dict[tuple[str, str | None], list[Usable]] = defaultdict(list)
    for image in images:
        members[image.label, image.split].append(image)
    kept: set[Path] = set()
    for (label, side), group in members.items():
        chosen = random.Random(f"{seed}/{label}/{side}").sample(group, min(per_class, len(group)))
        kept.update(image.path for image in chosen)
    return [image for image in images if image.path in kept]
