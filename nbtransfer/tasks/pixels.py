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
LEVELS = 16
"""So many of 256 levels an image of 16 bits should keep at least when it is read in 8."""
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


def separate(values: Array, given: Any = None) -> Iterator[Array]:
    """The images of an array, each (H, W, C) with the same values. Raises InputError unless shape and values are clear.

    `given` is what the array was made of, for advice that fits it.
    """
    if values.ndim not in (2, 3, 4):
        raise InputError(f"its shape {values.shape} is not that of an image; give {SHAPES}")
    check_values(values, given)
    if not values.size and not (values.ndim == 4 and len(values) == 0):
        raise InputError(f"it is empty: its shape is {values.shape}")
    yield from channels_last(values if values.ndim == 4 else values[None], values.shape)


def channels_last(values: Array, given: tuple[int, ...]) -> Array:
    """A view (N, H, W, C) of images (N, H, W), (N, H, W, C) or (N, C, H, W). Raises InputError if the shape is unclear.

    `given` is the shape to name, as the user knows it: without N where it is that of one image.
    """
    shape, several = values.shape[1:], len(given) == values.ndim
    if len(shape) == 2:
        _check_sides(shape, given, several)
        return values[..., None]
    places = [axis for axis in (0, 2) if shape[axis] in CHANNELS]
    if len(places) == 2 and shape[0] == 4:  # opacity comes last, except where nothing else fits
        places = [2]
    if not places:
        where = ", second or last" if several else ""
        raise InputError(f"its shape {given} has no axis for 1, 3 or 4 channels{where}; give {BATCHES if several else SHAPES}")
    if len(places) == 2:
        raise InputError(
            f"its shape {given} can be read in two ways: both the {'second' if several else 'first'} and the last axis may be "
            f"the channels; give {'a list of PIL images' if several else 'a PIL image'} instead"
        )
    last = np.moveaxis(values, places[0] + 1, -1)
    if last.shape[-1] == 1:
        _check_sides(last.shape[1:3], given, several)
    return last


def _check_sides(shape: tuple[int, ...], given: tuple[int, ...], several: bool) -> None:
    """Raise InputError for a grey image that may be something else: a row of colour pixels, or axes in another order."""
    if any(side in CHANNELS for side in shape):
        what = f"each image in its shape {given}" if several else f"its shape {given}"
        raise InputError(
            f"{what} may be one row of pixels with their channels, or a grey image of that size; "
            f"give {BATCHES if several else SHAPES}, or {'a list of PIL images' if several else 'a PIL image'}"
        )


def check_values(values: Array, given: Any = None) -> None:
    """Raise InputError unless the meaning of the values is known, with advice that fits what was given."""
    kind = values.dtype.kind
    if kind == "b" or values.dtype == np.uint8 or is_wide(values):
        return
    if kind == "f":
        if values.size and not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise InputError(
                "float images should lie in 0…1 without NaN; scale them first (divide by 255, say), but do not normalise them"
            )
        return
    what = "whole numbers of unknown range" if kind in "iu" else "not pixels"
    advice = f"; if they are in 0…255, use {_to_bytes(given)}" if kind in "iu" else ""
    raise InputError(f"images should be {VALUES}; {values.dtype} values are {what}{advice}")


def _to_bytes(given: Any) -> str:
    """How something, or what a list of it holds, becomes uint8."""
    while isinstance(given, (list, tuple)) and given:
        given = given[0]
    if hasattr(given, "detach"):
        return ".to(torch.uint8)"
    return ".astype('uint8')" if given is None or hasattr(given, "astype") else "np.array(…, 'uint8')"


def reach_of(values: Array) -> int:
    """The largest value of an array of 16 bits; 0 for any other."""
    return int(values.max()) if is_wide(values) and values.size else 0


def check_reach(reach: int, white: int) -> None:
    """Raise InputError if 16-bit values up to `reach` would be nearly black. One that is black is so by any white level."""
    if 0 < reach < white / LEVELS:
        raise InputError(
            f"its 16-bit values reach only {reach:,} of the {white:,} that is read as white, so it would be nearly black; "
            "divide it by its own white value to get floats in 0…1, or convert it to 8 bits"
        )


def eight_bit(values: Array, white: int = AS_IS.white_level) -> Array:
    """Checked values as uint8: 16 bits are scaled down from their white, floats in 0…1 are scaled up and rounded."""
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    return (values * (255 / white if is_wide(values) else 255)).clip(0, 255).round().astype(np.uint8)


def picture(values: Array, reading: Reading = AS_IS) -> Image.Image:
    """One checked image (H, W, C) as 8-bit RGB. Raises UndecodableError."""
    channels = values.shape[-1]
    flat = values[..., 0] if channels == 1 else values
    if channels == 1 and is_wide(values):  # read like a 16-bit file
        return to_rgb(Image.fromarray(np.ascontiguousarray(flat, dtype=np.uint16)), reading)
    return to_rgb(Image.fromarray(np.ascontiguousarray(eight_bit(flat, reading.white_level))))


def is_wide(values: Array) -> bool:
    """Whether these are whole numbers of 16 bits."""
    return bool(values.dtype.kind == "u" and values.dtype.itemsize == 2)
