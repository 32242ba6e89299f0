"""A transform of training images that a user's own code makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PIL import Image

from nbtransfer.core.code import Code
from nbtransfer.core.recipe import Recipe
from nbtransfer.engine.seeding import seeded
from nbtransfer.tasks.datasets import as_image
from nbtransfer.tasks.decode import UndecodableError
from nbtransfer.tasks.source import ImageSource
from nbtransfer.usercode.module import attribute, call

Transform = Callable[[Image.Image], Image.Image]


def transform(reference: str, codes: Iterable[Code]) -> Transform:
    """A change of images of the user's own; what it gives is checked each time. Raises CodeError."""
    function = attribute(reference, codes)
    return lambda image: as_image(reference, call(reference, function, image))


def try_transform(recipe: Recipe) -> None:
    """Change the first training image that can be decoded; raises CodeError when that fails."""
    assert recipe.transform is not None
    change, source = transform(recipe.transform, recipe.code), ImageSource(recipe.task)
    for sample in recipe.task.split("train"):
        try:
            image = source.image(sample)
        except UndecodableError:
            continue
        with seeded(recipe.seed):
            change(image)
        return
