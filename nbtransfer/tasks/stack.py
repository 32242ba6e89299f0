"""The images of a task in memory, as one array."""

from __future__ import annotations

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
        return _from_list(x) if values is None else _from_array(values)
    except InputError as error:
        raise error if isinstance(error, TaskError) else TaskError(f"the images cannot be used: {error}") from error


def _as_one_array(x: Any) -> Array | None:
    """The array that was given, or the one that equal arrays in a list make up; None for images of other kinds."""
    if pixels.is_array(x):
        values = pixels.as_array(x)
        return None if values.dtype.kind in "OU" else values
    if not isinstance(x, (list, tuple)) or not x:
        return None
    if not all(pixels.is_array(item) for item in x):
        return None if any(not isinstance(item, (list, tuple)) for item in x) else pixels.as_array(x)
    items = [pixels.as_array(item) for item in x]
    alike = {(item.shape, item.dtype) for item in items}
    return np.stack(items) if len(alike) == 1 and items[0].dtype.kind not in "OU" else None


def _from_array(values: Array) -> Array:
    pixels.check_values(values)
    if values.ndim not in (3, 4):
        raise InputError(f"their shape is {values.shape}; give {pixels.BATCHES}")
    if not len(values):
        raise TaskError("there are no images; give at least two of each class")
    if values.ndim == 3 and len(values) in pixels.CHANNELS:
        raise InputError(f"their shape {values.shape} is that of one image; give {pixels.BATCHES}")
    last = pixels.channels_last(values)
    if last.dtype.kind == "u" and last.itemsize == 2 and last.max() < LEAST_WHITE:
        raise InputError(
            f"their 16-bit values reach only {last.max():,} of 65,535, which would be nearly black; scale them to 8 bits first"
        )
    if last.shape[-1] == 4:
        return np.stack([np.asarray(pixels.picture(one)) for one in last])
    return np.ascontiguousarray(pixels.eight_bit(last))


def _from_list(x: Any) -> Array:
    """Images of other kinds, which become RGB. They must be of one size."""
    stacked = list[Array]()
    for given in InputReader().images(x):
        try:
            stacked.append(np.asarray(given.rgb()))
        except InputError as error:
            raise TaskError(refusal(given.name, error)) from error
        if stacked[-1].shape != stacked[0].shape:
            sizes = " and ".join(f"{one.shape[1]} × {one.shape[0]}" for one in (stacked[0], stacked[-1]))
            raise TaskError(f"the images are of several sizes, such as {sizes} pixels; resize them, or use Task.from_folder")
    if not stacked:
        raise TaskError("there are no images; give at least two of each class")
    return np.stack(stacked)
