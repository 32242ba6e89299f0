"""Transforms of training images from custom code."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PIL import Image

from nbtransfer.core.code import Code
from nbtransfer.core.recipe import Recipe
from nbtransfer.engine.seeding import fixed_seed
from nbtransfer.tasks.datasets import as_image
from nbtransfer.tasks.decode import UndecodableError
from nbtransfer.tasks.source import ImageSource
from nbtransfer.usercode.module import attribute, call

Transform = Callable[[Image.Image], Image.Image]


def load_transform(reference: str, codes: Iterable[Code]) -> Transform:
    """The custom transform `reference`; it checks each result. Raises CodeError."""
    function = attribute(reference, codes)
    return lambda image: as_image(reference, call(reference, function, image))


def try_transform(recipe: Recipe) -> None:
    """Transform the first training image that can be decoded; raises CodeError on failure."""
    assert recipe.transform is not None
    transform, source = load_transform(recipe.transform, recipe.code), ImageSource(recipe.task)
    for sample in recipe.task.split("train"):
        try:
            image = source.image(sample)
        except UndecodableError:
            continue
        with fixed_seed(recipe.seed):
            transform(image)
        return
