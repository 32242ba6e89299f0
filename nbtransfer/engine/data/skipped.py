"""Images that cannot be decoded: reported once, or an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nbtransfer.core import events as ev
from nbtransfer.core.messages import Message
from nbtransfer.core.missing import too_many_missing
from nbtransfer.core.recipe import Recipe
from nbtransfer.engine.data.batches import Batches
from nbtransfer.errors import TaskError


def report_skipped(
    failed: Sequence[tuple[int, Message]], batches: Batches, split: str, recipe: Recipe, reported: set[str]
) -> Iterator[ev.ImageSkipped]:
    """Report each image that cannot be decoded once. Updates `reported`.

    Raises TaskError where the recipe allows no such image, and when a split or class has lost too many.
    """
    before = len(reported)
    for number, reason in failed:
        source = batches.images.samples[number].source
        if recipe.on_bad_image == "fail":
            raise TaskError(f"{source} cannot be decoded: {reason}; remove it, or set on_bad_image='skip'")
        if source not in reported:
            reported.add(source)
            yield ev.ImageSkipped(source, split, reason)
    if len(reported) > before and (why := too_many_missing(reported, recipe.task, recipe.max_missing)):
        raise TaskError(why)
