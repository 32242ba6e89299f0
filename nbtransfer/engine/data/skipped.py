"""Images that could not be decoded: named once, or a reason to give up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nbtransfer.core import events as ev
from nbtransfer.core.recipe import Recipe
from nbtransfer.engine.data.batches import Batches
from nbtransfer.errors import TaskError


def report_skipped(
    failed: Sequence[tuple[int, str]], batches: Batches, split: str, recipe: Recipe, named: set[str]
) -> Iterator[ev.ImageSkipped]:
    """Name each image that cannot be decoded once, or give up, as the recipe says."""
    for number, reason in failed:
        source = batches.images.samples[number].source
        if recipe.on_bad_image == "fail":
            raise TaskError(f"{source} cannot be decoded: {reason}; remove it, or set on_bad_image='skip'")
        if source not in named:
            named.add(source)
            yield ev.ImageSkipped(source, split, reason)
