"""What `explain` is given: images and target classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nbtransfer.core.task import Sample
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import short_list, suggest
from nbtransfer.errors import InputError
from nbtransfer.jobs.run import Run
from nbtransfer.tasks.decode import UndecodableError
from nbtransfer.tasks.source import ImageSource

if TYPE_CHECKING:
    from PIL import Image

    from nbtransfer.engine.model.transfer_model import TransferModel


def load_images(run: Run, images: Any, model: TransferModel) -> tuple[Any, list[tuple[str, str | None]]]:
    """Pixels as the model sees them, uint8 (N, 3, H, W), and for each image its name and its class, if known."""
    import torch

    from nbtransfer.engine.data.open_images import as_list
    from nbtransfer.engine.data.preprocess import resize_and_crop

    given = [images] if isinstance(images, Sample) else as_list(images)
    if not given:
        raise InputError("there is no image to explain; give at least one")
    pixels = torch.stack([resize_and_crop(_load(run, image), model.spec) for image in given])
    return pixels, [_name_and_truth(run, image, number) for number, image in enumerate(given)]


def _load(run: Run, image: Any) -> Image.Image:
    from nbtransfer.engine.data.open_images import open_image

    if not isinstance(image, Sample):
        return open_image(image)
    try:
        return ImageSource(run.recipe.task).image(image)
    except UndecodableError as error:
        raise InputError(f"{image.source} cannot be used: {error}") from error


def _name_and_truth(run: Run, image: Any, number: int) -> tuple[str, str | None]:
    if isinstance(image, Sample):
        return image.source, run.recipe.task.classes[image.label]
    return (str(image) if hasattr(image, "__fspath__") or isinstance(image, str) else f"image {number}"), None


def class_numbers(target: Any, count: int, classes: tuple[str, ...]) -> list[int | None]:
    """The class to explain for each image; None leaves it to the model."""
    several = isinstance(target, (Sequence, np.ndarray)) and not isinstance(target, str)
    targets = list(target) if several else [target] * count
    if len(targets) != count:
        raise InputError(f"there are {len(targets)} targets for {quantity(count, 'image')}; give one, or one for each image")
    return [_class_number(value, classes) for value in targets]


def _class_number(value: Any, classes: tuple[str, ...]) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and value in classes:
        return classes.index(value)
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and 0 <= value < len(classes):
        return int(value)
    hint = suggest(value, classes) if isinstance(value, str) else f"give a name or a number from 0 to {len(classes) - 1}"
    raise InputError(f"there is no class {value!r}; {hint} (classes: {short_list(classes, most=20)})")
