"""Images as users give them: paths, PIL images or arrays, one or many."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nbtransfer.core.kinds import shown
from nbtransfer.core.text.paths import is_address
from nbtransfer.errors import InputError
from nbtransfer.tasks.decode import UndecodableError, load_rgb, to_rgb


def as_list(images: Any) -> list[Any]:
    """One image or many, as a list."""
    if isinstance(images, (str, os.PathLike, Image.Image)) or _is_single(images):
        return [images]
    try:
        return list(images)
    except TypeError:
        raise InputError(
            f"images should be a path, a PIL image or a uint8 array (H, W, 3), one or many, not {shown(images)}"
        ) from None


def open_image(image: Any) -> Image.Image:
    """Any of the accepted forms as an RGB image."""
    if isinstance(image, Image.Image):
        return _to_rgb(image)
    if isinstance(image, (str, os.PathLike)):
        if is_address(image):
            raise InputError(f"{image} is an address in a network; download the image, then give its path")
        try:
            return load_rgb(Path(image))
        except UndecodableError as error:
            raise InputError(f"{os.fspath(image)} cannot be used: {error}") from error
    values = np.asarray(image)
    if values.dtype != np.uint8 or values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[-1] != 3):
        raise InputError(
            f"an image should be a path, a PIL image or a uint8 array (H, W, 3), not {values.dtype} {values.shape}"
        )
    return Image.fromarray(values).convert("RGB")


def _to_rgb(image: Image.Image) -> Image.Image:
    try:
        return to_rgb(image)
    except UndecodableError as error:
        raise InputError(f"the image cannot be used: {error}") from error


def _is_single(images: Any) -> bool:
    return isinstance(images, np.ndarray) and (images.ndim == 2 or (images.ndim == 3 and images.shape[-1] == 3))
