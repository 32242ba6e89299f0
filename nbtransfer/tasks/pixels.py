"""Arrays and tensors as images: which axis holds the channels, and what the values mean.

A wrong guess would give wrong answers without a word. So whatever can be read in two ways is refused, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from nbtransfer.core.task import Reading
from nbtransfer.errors import InputError
from nbtransfer.tasks.decode import AS_IS, to_rgb

Array = np.ndarray[Any, Any]

CHANNELS = {1: "L", 3: "RGB", 4: "RGBA"}
"""Numbers of channels, with Pillow's names. Four are red, green, blue and opacity."""
BATCHES = "(N, H, W, C) or (N, C, H, W), with C = 1, 3 or 4"
SHAPES = f"(H, W), (H, W, C) or (C, H, W), or several as {BATCHES}"
VALUES = "uint8, uint16, bool, or floats in 0…1"


def is_array(value: Any) -> bool:
    """Whether this is an array or a tensor of any library."""
    return hasattr(value, "__array__") and hasattr(value, "shape") and hasattr(value, "dtype")


def holds_numbers(value: Any) -> bool:
    """Whether these are lists of lists of numbers, such as `array.tolist()`."""
    depth = 0
    while isinstance(value, (list, tuple)) and value:
        value, depth = value[0], depth + 1
    return depth > 1 and isinstance(value, (int, float, complex, np.number, np.bool_))


def as_array(value: Any) -> Array:
    """An array, a tensor or nested lists of numbers as a NumPy array. Raises InputError."""
    tensor = value.detach().cpu() if hasattr(value, "detach") else value
    try:
        # NumPy has no bfloat16.
        return np.asarray(tensor.float() if str(getattr(tensor, "dtype", "")) == "torch.bfloat16" else tensor)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"it cannot be read as one array ({reason}); give {VALUES}") from error


def separate(values: Array) -> Iterator[Array]:
    """The images of an array, each (H, W, C) with the same values. Raises InputError unless shape and values are clear."""
    if values.ndim not in (2, 3, 4):
        raise InputError(f"its shape {values.shape} is not that of an image; give {SHAPES}")
    check_values(values)
    if not values.size and not (values.ndim == 4 and len(values) == 0):
        raise InputError(f"it is empty: its shape is {values.shape}")
    yield from channels_last(values if values.ndim == 4 else values[None])


def channels_last(values: Array) -> Array:
    """A view (N, H, W, C) of images (N, H, W), (N, H, W, C) or (N, C, H, W). Raises InputError if the shape is unclear."""
    shape = values.shape[1:]
    if len(shape) == 2:
        _check_sides(shape)
        return values[..., None]
    places = [axis for axis in (0, 2) if shape[axis] in CHANNELS]
    if len(places) == 2 and shape[0] == 4:  # opacity comes last, except where nothing else fits
        places = [2]
    if not places:
        raise InputError(f"its shape {shape} has no axis for 1, 3 or 4 channels; give {SHAPES}")
    if len(places) == 2:
        raise InputError(
            f"its shape {shape} can be read in two ways: both the first and the last axis may be the channels; "
            "give a PIL image instead"
        )
    last = np.moveaxis(values, places[0] + 1, -1)
    if last.shape[-1] == 1:
        _check_sides(last.shape[1:3])
    return last


def _check_sides(shape: tuple[int, ...]) -> None:
    """Raise InputError for a grey image that may be something else: a row of colour pixels, or axes in another order."""
    if any(side in CHANNELS for side in shape):
        raise InputError(
            f"its shape {shape} may be one row of pixels with their channels, or a grey image of that size; "
            f"give {SHAPES}, or a PIL image"
        )


def check_values(values: Array) -> None:
    """Raise InputError unless the meaning of the values is known."""
    kind = values.dtype.kind
    if kind == "b" or values.dtype == np.uint8 or is_wide(values):
        return
    if kind == "f":
        if values.size and not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise InputError(
                "float images should lie in 0…1 without NaN; scale them first (divide by 255, say), but do not normalise them"
            )
        return
    what = "whole numbers of unknown range" if kind in "iu" else "no pixels"
    advice = "; if they are in 0…255, use .astype('uint8')" if kind in "iu" else ""
    raise InputError(f"images should be {VALUES}; {values.dtype} values are {what}{advice}")


def eight_bit(values: Array) -> Array:
    """Checked values as uint8: 16 bits are scaled down, floats in 0…1 are scaled up and rounded."""
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    return (values / 257 if is_wide(values) else values * 255).round().astype(np.uint8)


def picture(values: Array, reading: Reading = AS_IS) -> Image.Image:
    """One checked image (H, W, C) as 8-bit RGB. Raises UndecodableError."""
    channels = values.shape[-1]
    flat = values[..., 0] if channels == 1 else values
    if channels == 1 and is_wide(values):  # read like a 16-bit file
        return to_rgb(Image.fromarray(np.ascontiguousarray(flat, dtype=np.uint16)), reading)
    return to_rgb(Image.fromarray(np.ascontiguousarray(eight_bit(flat))))


def is_wide(values: Array) -> bool:
    """Whether these are whole numbers of 16 bits."""
    return bool(values.dtype.kind == "u" and values.dtype.itemsize == 2)
