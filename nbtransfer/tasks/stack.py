"""The images of a task in memory, as one array."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nbtransfer.errors import InputError, TaskError
from nbtransfer.tasks import pixels
from nbtransfer.tasks.inputs import InputReader, refusal
from nbtransfer.tasks.pixels import Array

LEAST_WHITE = 4_096
"""Below this, 16-bit values would keep fewer than 16 of 256 levels."""


def stack_of(x: Any) -> Array:
    """Images as uint8 (N, H, W, 1 or 3): an array or a tensor, or a list of images in any form. Raises TaskError."""
    try:
        values = _as_one_array(x)
        stacked = None if values is None else _from_array(values)
    except InputError as error:
        raise TaskError(refusal("x", error)) from error
    return _from_list(x) if stacked is None else stacked


def _as_one_array(x: Any) -> Array | None:
    """The array that was given, or the one that equal arrays in a list make up; None for images of other kinds."""
    if pixels.is_array(x):
        values = pixels.as_array(x)
        return None if values.dtype.kind in "OU" else values
    if not isinstance(x, (list, tuple)) or not x:
        return None
    if pixels.holds_numbers(x):
        return pixels.as_array(x)
    if not all(pixels.is_array(item) for item in x):
        return None
    items = [pixels.as_array(item) for item in x]
    alike = {(item.shape, item.dtype) for item in items}
    return np.stack(items) if len(alike) == 1 and items[0].dtype.kind not in "OU" else None


def _from_array(values: Array) -> Array:
    if values.ndim not in (3, 4):
        raise InputError(f"its shape is {values.shape}; give {pixels.BATCHES}")
    pixels.check_values(values)
    if not len(values):
        return np.empty((0, 1, 1, 3), np.uint8)
    if values.ndim == 3 and len(values) in pixels.CHANNELS:
        raise InputError(f"its shape {values.shape} is that of one image; give {pixels.BATCHES}")
    last = pixels.channels_last(values)
    if pixels.is_wide(last) and last.max() < LEAST_WHITE:
        reach = f"its 16-bit values reach only {last.max():,} of 65,535"
        raise InputError(f"{reach}, which would be nearly black; scale it to 8 bits first")
    if last.shape[-1] == 4:
        return np.stack([np.asarray(pixels.picture(one)) for one in last])
    return np.ascontiguousarray(pixels.eight_bit(last))


def _from_list(x: Any) -> Array:
    """Images of other kinds, which become RGB. They must be of one size."""
    try:
        images = list(_opened(x))
    except InputError as error:
        raise TaskError(str(error)) from error
    sizes = dict.fromkeys(f"{image.shape[1]} × {image.shape[0]}" for image in images)
    if len(sizes) > 1:
        some = " and ".join(list(sizes)[:2])
        raise TaskError(f"the images are of several sizes, such as {some} pixels; resize them, or use Task.from_folder")
    return np.stack(images) if images else np.empty((0, 1, 1, 3), np.uint8)


def _opened(x: Any) -> Iterator[Array]:
    for given in InputReader().images(x):
        try:
            yield np.asarray(given.rgb())
        except InputError as error:
            raise InputError(refusal(given.name, error)) from error
