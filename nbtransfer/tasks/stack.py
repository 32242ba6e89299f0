"""The images of a task in memory, as one array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from nbtransfer.core.task import Reading
from nbtransfer.errors import InputError, TaskError
from nbtransfer.tasks import pixels
from nbtransfer.tasks.decode import AS_IS
from nbtransfer.tasks.inputs import GivenImage, InputReader, check_aspect, refusal
from nbtransfer.tasks.pixels import Array
from nbtransfer.tasks.scan import measured


class Stack(NamedTuple):
    """Images as uint8 (N, H, W, 1 or 3), how those of 16 bits were read, and notes on that."""

    images: Array
    reading: Reading
    notes: Sequence[str]


def stack_of(x: Any, white_level: int | None = None, max_aspect: float = AS_IS.max_aspect) -> Stack:
    """An array or a tensor, or a list of images in any form, as one array. Raises TaskError.

    Without a white level it is measured over all images.
    """
    reading = Reading(AS_IS.white_level if white_level is None else white_level, max_aspect)
    if isinstance(x, Mapping):
        raise TaskError(f"x is a {type(x).__name__}; give the array itself, such as x=d[{next(iter(x), 'x')!r}]")
    try:
        values = _as_one_array(x)
        if values is not None:
            return _from_array(values, x, reading, white_level is None)
    except InputError as error:
        raise TaskError(refusal("x", error)) from error
    return _from_list(x, reading, white_level is None)


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


def _from_array(values: Array, given: Any, reading: Reading, measure: bool) -> Stack:
    if values.ndim not in (3, 4):
        raise InputError(f"its shape is {values.shape}; give {pixels.BATCHES}")
    pixels.check_values(values, given)
    if not len(values):
        return Stack(np.empty((0, 1, 1, 3), np.uint8), reading, ())
    if values.ndim == 3 and {len(values), values.shape[-1]} & pixels.CHANNELS.keys():
        raise InputError(f"its shape {values.shape} is that of one image; give {pixels.BATCHES}")
    last = pixels.channels_last(values, values.shape)
    check_aspect(last.shape[2], last.shape[1], reading.max_aspect)
    notes: Sequence[str] = ()
    if measure:
        reach = pixels.reach_of(last)
        reading, notes = measured(reading, reach)
        pixels.check_reach(reach, reading.white_level)
    if last.shape[-1] == 4:
        return Stack(np.stack([np.asarray(pixels.picture(one, reading)) for one in last]), reading, notes)
    return Stack(np.ascontiguousarray(pixels.eight_bit(last, reading.white_level)), reading, notes)


def _from_list(x: Any, reading: Reading, measure: bool) -> Stack:
    """Images of other kinds, which become RGB. They must be of one size."""
    notes: Sequence[str] = ()
    try:
        given = list(InputReader().images(x))
        if measure:
            reach = max((one.reach(reading) for one in given), default=0)
            reading, notes = measured(reading, reach)
            pixels.check_reach(reach, reading.white_level)
        images = [_opened(replace(one, reading=reading)) for one in given]
    except InputError as error:
        raise TaskError(str(error)) from error
    sizes = dict.fromkeys(f"{image.shape[1]} × {image.shape[0]}" for image in images)
    if len(sizes) > 1:
        some = " and ".join(list(sizes)[:2])
        raise TaskError(f"the images are of several sizes, such as {some} pixels; resize them, or use Task.from_folder")
    return Stack(np.stack(images) if images else np.empty((0, 1, 1, 3), np.uint8), reading, notes)


def _opened(given: GivenImage) -> Array:
    try:
        return np.asarray(given.opened())
    except InputError as error:
        raise InputError(refusal(given.name, error)) from error
