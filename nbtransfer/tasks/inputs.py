"""Images as users give them: one or many, on the disk or in memory, each with a name for messages and tables.

Everything that takes images takes them here, so that what is one image for one function is one image for all.
"""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from PIL import Image

from nbtransfer.core.task import Reading, Sample, TaskCard
from nbtransfer.errors import InputError
from nbtransfer.tasks import pixels
from nbtransfer.tasks.decode import AS_IS, SUFFIXES, UndecodableError, brightest, load_rgb, reach_of, to_rgb
from nbtransfer.tasks.folders import is_junk
from nbtransfer.tasks.source import ImageSource

_URL = re.compile(r"(?P<scheme>data(?=:)|[A-Za-z][A-Za-z0-9+.-]+(?=:/))")
_URLS = {"file": "it is a file URL; give the path alone", "data": "it is a data URL; decode it, and give the bytes"}
_PATTERN = re.compile(r"[*?\[]")
WANTED = "give a path, a PIL image, an array or a tensor"


@dataclass(frozen=True, slots=True)
class GivenImage:
    """One image that was given: a path as it was written, or "image 3", counted from 0; its class, if known; how it is read.

    `reach` finds the largest value of an image of 16 bits, or of the array it is from, and is 0 for others; `in_memory` is
    that of an array.
    """

    name: str
    read: Callable[[Reading], Image.Image]
    truth: str | None = None
    reading: Reading = AS_IS
    reach: Callable[[Reading], int] = lambda _: 0
    in_memory: int = 0

    def rgb(self) -> Image.Image:
        """The image as 8-bit RGB. Raises InputError with the reason alone; `refusal` makes a sentence of it."""
        pixels.check_reach(self.in_memory, self.reading.white_level)
        return self.opened()

    def opened(self) -> Image.Image:
        """The same for one of many images that were found bright enough together, of which some may be dark."""
        try:
            image = self.read(self.reading)
        except UndecodableError as error:
            raise InputError(str(error)) from error
        width, height = image.size
        if not width or not height:
            raise InputError("it has no pixels")
        check_aspect(width, height, self.reading.max_aspect)
        return image


def check_aspect(width: int, height: int, most: float) -> None:
    """Raise InputError if one side is too many times longer than the other."""
    if max(width, height) > most * min(width, height):
        raise InputError(
            f"it has {width} × {height} pixels, and one side is more than {most:g} times the other; use "
            f"max_aspect={math.ceil(max(width, height) / min(width, height))} when the task is made"
        )


def refusal(name: str, reason: object) -> str:
    """The sentence about an image that cannot be used."""
    return f"{name} cannot be used: {reason}"


class InputReader:
    """Reads images in any form. Samples need their task, whose classes are then the truth."""

    def __init__(self, task: TaskCard | None = None, reading: Reading | None = None) -> None:
        self._task = task
        self._reading = reading or (task.reading if task else AS_IS)

    def images(self, given: Any) -> Iterator[GivenImage]:
        """Each image of what was given, in order. Nothing is decoded yet.

        Raises InputError if it is neither an image nor a collection. What is no image in a collection has an `rgb` that raises.
        """
        return (replace(image, reading=self._reading) for image in self._images(given))

    def _images(self, given: Any) -> Iterator[GivenImage]:
        several = _collection(given)
        if several is None:
            try:
                yield from self._one(given, "")
            except InputError as error:
                raise InputError(refusal(_name_of(given, "the image"), error)) from error
            return
        for number, item in enumerate(several):
            name = f"image {number}"
            try:
                yield from self._one(item, name)
            except InputError as error:
                yield GivenImage(_name_of(item, name), partial(_refuse, error))

    def _one(self, given: Any, name: str) -> Iterator[GivenImage]:
        """The images of one thing, which without a name is all there is. A folder and an array may hold several."""
        first = name or "image 0"
        if isinstance(given, (str, os.PathLike)):
            yield from _at_path(os.fsdecode(given))
        elif isinstance(given, Image.Image):
            yield GivenImage(first, partial(to_rgb, given), reach=lambda _: reach_of(given))
        elif isinstance(given, (bytes, bytearray, memoryview)):
            yield _encoded(first, bytes(given))
        elif hasattr(given, "read"):
            yield _encoded(_name_of(given, first), _contents(given))
        elif isinstance(given, Sample):
            yield self._sample(given)
        elif pixels.is_array(given) or pixels.holds_numbers(given):
            yield from _from_array(pixels.as_array(given), given, name)
        else:
            raise InputError(f"it is {_kind(given)}; {WANTED}")

    def _sample(self, sample: Sample) -> GivenImage:
        task = self._task
        if task is None:
            raise InputError("it is a sample, which only its task can read; pass task=…, or give task.image(sample)")
        known = self._known.get(sample.source)
        if known is None or known.digest != sample.digest:
            raise InputError(f"it is not a sample of {task.name!r}, the task of this run; give the path of its file")
        return GivenImage(known.source, lambda _: self._source.image(known), task.classes[known.label])

    @cached_property
    def _known(self) -> dict[str, Sample]:
        assert self._task is not None
        return {sample.source: sample for sample in self._task.samples}

    @cached_property
    def _source(self) -> ImageSource:
        assert self._task is not None
        return ImageSource(self._task)


def _collection(given: Any) -> Iterator[Any] | None:
    """The items of a collection; None for what may be one image. Raises InputError for collections in no clear order."""
    if isinstance(given, TaskCard):
        raise InputError("this is a task; give its samples, such as list(task.split('val'))")
    if hasattr(given, "columns") and hasattr(given, "iloc"):
        raise InputError("this is a table; give its column of paths or images, such as table['file']")
    if isinstance(given, (Mapping, AbstractSet)):
        raise InputError(f"this is a {type(given).__name__}; give a list, so that the answers have an order")
    if isinstance(given, (str, os.PathLike, Image.Image, bytes, bytearray, memoryview, Sample)) or hasattr(given, "read"):
        return None
    if pixels.is_array(given):
        return _column(given)
    if pixels.holds_numbers(given):
        return None
    try:
        items: Iterator[Any] = iter(given)
    except TypeError:
        return None
    return items


def _column(given: Any) -> Iterator[Any] | None:
    """The items of an array or a column of a table that holds paths or images; None if it holds numbers."""
    if hasattr(given, "detach"):  # tensors hold numbers only
        return None
    values = pixels.as_array(given)
    return iter(values.ravel().tolist()) if values.dtype.kind in "OU" else None


def _from_array(values: pixels.Array, given: Any, name: str) -> Iterator[GivenImage]:
    """The images of an array; of one in a list they are called `image 3[0]`, `image 3[1]` and so on."""
    several = values.ndim == 4 and len(values) > 1
    reach = pixels.reach_of(values)
    for number, one in enumerate(pixels.separate(values, given)):
        place = f"image {number}" if not name else f"{name}[{number}]" if several else name
        yield GivenImage(place, partial(pixels.picture, one), reach=lambda _: reach, in_memory=reach)


def _at_path(name: str) -> Iterator[GivenImage]:
    """The image at a path, or all images in a folder and below it, in the order of their paths."""
    try:
        path = Path(name).expanduser()
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError, RuntimeError) as error:  # too long, with a null character, or of an unknown user
        raise InputError(
            _why_missing(name) if _URL.match(name) else f"it is not a valid path ({_short(error)}); {WANTED}"
        ) from error
    if not name or not exists:
        raise InputError(_why_missing(name))
    if not is_folder:
        yield _file(name, path)
        return
    found = sorted(file for file in path.rglob("*") if _is_image_file(file.relative_to(path)))
    if not found:
        raise InputError("this folder holds no image; give one with files such as .jpg or .png")
    for file in found:
        yield _file(str(Path(name) / file.relative_to(path)), file)


def _file(name: str, path: Path) -> GivenImage:
    return GivenImage(name, partial(load_rgb, path, None), reach=partial(brightest, path))


def _is_image_file(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not any(map(is_junk, path.parts))


def _why_missing(name: str) -> str:
    if found := _URL.match(name):
        return _URLS.get(found["scheme"].lower(), "it is a URL; download it first, and give the path of the file")
    if _PATTERN.search(name):
        return "it is a pattern, not a path; give sorted(glob.glob(pattern))"
    return "there is no such file or folder; check the path"


def _contents(file: Any) -> bytes:
    """Everything in a file object, which may have been read before. Raises InputError."""
    try:
        if file.seekable():
            file.seek(0)
        data = file.read()
    except (OSError, ValueError, AttributeError) as error:  # closed, or opened for writing
        raise InputError(f"the file object cannot be read ({error}); open it with 'rb'") from error
    if not isinstance(data, bytes):
        raise InputError("the file object is open in text mode; open it with 'rb'")
    return data


def _encoded(name: str, data: bytes) -> GivenImage:
    return GivenImage(name, partial(_from_bytes, data), reach=lambda reading: brightest(io.BytesIO(data), reading))


def _from_bytes(data: bytes, reading: Reading) -> Image.Image:
    if not data:
        raise InputError("it is empty")
    return load_rgb(io.BytesIO(data), None, reading)


def _refuse(error: InputError, _reading: Reading) -> Image.Image:
    raise error


def _short(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _name_of(given: Any, otherwise: str) -> str:
    """The path of what was given, as it was written, shortened if it is no path at all."""
    named = getattr(given, "name", None) if hasattr(given, "read") else given
    if isinstance(given, Sample):
        return given.source
    if not isinstance(named, (str, os.PathLike)) or not os.fspath(named):
        return otherwise
    text = os.fsdecode(named)
    return text if len(text) <= 300 else f"{text[:40]}…"


def _kind(given: Any) -> str:
    """`None`, `a tuple`, `an int`, `nan`: what something is, in a sentence."""
    if given is None or (isinstance(given, float) and given != given):  # noqa: PLR0124 - NaN, in a table a missing path
        return f"{given}, not an image"
    name = type(given).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}, not an image"
