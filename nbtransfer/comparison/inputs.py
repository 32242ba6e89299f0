"""What `explain` is given: images and target classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nbtransfer.core.scalars import plain
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import short_list, suggest
from nbtransfer.errors import InputError
from nbtransfer.jobs.run import Run
from nbtransfer.tasks.inputs import GivenImage, InputReader, refusal

if TYPE_CHECKING:
    from PIL import Image


def open_images(run: Run, images: Any) -> list[tuple[GivenImage, Image.Image]]:
    """Each image with its name and its class, if known. Raises InputError that names the first one that cannot be used."""
    opened = list[tuple[GivenImage, Any]]()
    for given in InputReader(run.recipe.task).images(images):
        try:
            opened.append((given, given.rgb()))
        except InputError as error:
            raise InputError(refusal(given.name, error)) from error
    if not opened:
        raise InputError("there is no image to explain; give at least one")
    return opened


def class_numbers(target: Any, count: int, classes: tuple[str, ...]) -> list[int | None]:
    """The class to explain for each image; None leaves it to the model."""
    target = plain(target)
    several = isinstance(target, Iterable) and not isinstance(target, str)
    targets = [plain(value) for value in target] if several else [target] * count
    if len(targets) != count:
        raise InputError(f"there are {len(targets)} targets for {quantity(count, 'image')}; give one, or one for each image")
    return [_class_number(value, classes) for value in targets]


def _class_number(value: Any, classes: tuple[str, ...]) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and value in classes:
        return classes.index(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(classes):
        return value
    hint = suggest(value, classes) if isinstance(value, str) else f"give a name or a number from 0 to {len(classes) - 1}"
    raise InputError(f"there is no class {value!r}; {hint} (classes: {short_list(classes, most=20)})")
