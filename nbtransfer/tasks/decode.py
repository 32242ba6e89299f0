"""From a file to an RGB image, with every unusual kind of image handled explicitly.

EXIF rotation is applied. Palette and grey images become RGB, transparent ones are put on white, CMYK is converted, 16-bit
greys are scaled to 8 bits by their task's white level, animations give their first frame. Images too large to be real are
refused from the header, before any pixel is decoded; floating-point images are refused because their range is unknown.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageOps

from nbtransfer.core.messages import Message, message
from nbtransfer.core.task import Reading

MOST_PIXELS = 1024**3 // 4 // 3  # Pillow warns from here on
AS_IS = Reading()
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "TIFF", "WEBP", "PPM")
"""No other format is opened, whatever the suffix: some of Pillow's readers start programs or are rarely maintained."""
HEIF = frozenset({".heic", ".heif", ".hif"})
HAS_HEIF = importlib.util.find_spec("pillow_heif") is not None
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jfif"}) | (
    HEIF if HAS_HEIF else frozenset()
)
UNREADABLE_SUFFIXES = {
    HEIF: "install pillow-heif (pip install 'nbtransfer[heic]')",
    frozenset({".avif", ".jxl", ".jp2", ".j2k", ".psd", ".xcf", ".svg", ".eps"}): "convert them to JPEG or PNG",
    frozenset({".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf"}): "develop them to JPEG or TIFF",
    frozenset({".dcm", ".nii", ".svs", ".npy", ".mat", ".h5"}): "convert them to PNG or TIFF, or use Task.from_arrays",
    frozenset({".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz"}): "unpack them",
}
"""What other images there are, and how they can be used."""


class UndecodableError(ValueError):
    """This file is not an image we can use; the text says why."""


class TooDarkError(UndecodableError):
    """The bits of this image that can be read leave it nearly black."""


def check_header(path: Path, reading: Reading = AS_IS) -> tuple[int, int]:
    """Width and height from the header alone; raises UndecodableError if the image cannot or must not be decoded."""
    with _open(path, reading) as image:
        return image.size


def load_rgb(path: Path | IO[bytes], about: int | None = None, reading: Reading = AS_IS) -> Image.Image:
    """The image in a file, which may be in memory, as 8-bit RGB, upright; raises UndecodableError with the reason.

    With `about` pixels on the shorter side being enough, JPEG files are decoded at reduced size, many times faster.
    """
    with _open(path, reading) as image:
        if about is not None:
            image.draft("RGB", (about, about))
        return to_rgb(image, reading)


def brightest(path: Path | IO[bytes], reading: Reading = AS_IS) -> int:
    """The largest value of a 16-bit grey image; 0 for an image of 8 bits, and for one that cannot be decoded."""
    try:
        with _open(path, reading) as image:
            return reach_of(image)
    except Exception:  # noqa: BLE001 - Pillow's plugins raise almost anything on damaged data, which is found when it is used
        return 0


def reach_of(image: Image.Image) -> int:
    """The largest value of an opened image of 16-bit grey; 0 for one of 8 bits, and for one that cannot be decoded."""
    try:
        return int(np.asarray(image).max()) if image.mode.startswith("I") else 0
    except Exception:  # noqa: BLE001 - as above
        return 0


def white_level_of(value: int) -> int:
    """White in images whose largest value this is: 255, 1,023, 4,095 and so on, the largest value of so many bits."""
    return int(2 ** min(16, max(8, value.bit_length())) - 1)


DARK = 16
"""Of 255. A file of 16-bit colours with no brighter one holds fewer bits."""
_WIDE = "nbtransfer_16_bit_colours"
"""What is noted about an opened image, which forgets it when it is loaded."""


def to_rgb(image: Image.Image, reading: Reading = AS_IS) -> Image.Image:
    """An opened image as 8-bit RGB, upright; raises UndecodableError with the reason."""
    wide = _has_wide_colours(image)
    try:
        found = _convert(ImageOps.exif_transpose(image), reading)
        if wide:
            _check_colours(found)
    except UndecodableError:
        raise
    except Exception as error:  # Pillow's plugins raise almost anything on damaged data
        raise UndecodableError(message("image.damaged", error=str(error))) from error
    return found


@contextmanager
def _open(path: Path | IO[bytes], reading: Reading) -> Iterator[Image.Image]:
    try:
        image = Image.open(path, formats=_formats(path))
    except FileNotFoundError as error:
        raise UndecodableError(message("image.gone")) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UndecodableError(message("image.pixels", millions=MOST_PIXELS // 10**6)) from error
    except Exception as error:
        raise UndecodableError(_no_image(path, error)) from error
    with image:
        width, height = image.size
        # Resizing a very long image by its shorter side would need more memory than its pixels.
        if width * height > MOST_PIXELS:
            raise UndecodableError(message("image.claim", width=width, height=height))
        if max(width, height) > reading.max_aspect * min(width, height):
            aspect = math.ceil(max(width, height) / min(width, height))
            raise UndecodableError(message("image.aspect", width=width, height=height, most=reading.max_aspect, aspect=aspect))
        yield image


def _formats(path: Path | IO[bytes]) -> tuple[str, ...]:
    """The formats that may be opened. What is in memory has no suffix to tell HEIF by."""
    return _with_heif() if HAS_HEIF and (not isinstance(path, Path) or path.suffix.lower() in HEIF) else FORMATS


@functools.cache
def _with_heif() -> tuple[str, ...]:
    import pillow_heif

    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF")


def _convert(image: Image.Image, reading: Reading) -> Image.Image:
    if image.mode == "F":
        raise UndecodableError(message("image.float"))
    if image.mode.startswith("I"):
        return _from_wide_grey(image, reading.white_level)
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    return image.convert("RGB")


def _has_wide_colours(image: Image.Image) -> bool:
    """Whether its file has 16 bits for each colour, of which Pillow keeps the upper 8."""
    if image.mode not in ("RGB", "RGBA", "LA"):
        return False
    if _WIDE not in image.info:
        image.info[_WIDE] = any(";16" in str(tile[3]) for tile in _tiles(image))
    return bool(image.info[_WIDE])


def _tiles(image: Image.Image) -> Sequence[Any]:
    """How the parts of its file are encoded: once it is loaded, only the file still says that."""
    if tiles := getattr(image, "tile", ()):
        return tuple(tiles)
    try:
        with Image.open(image.filename) as again:  # type: ignore[attr-defined]
            return tuple(again.tile)
    except (AttributeError, OSError, ValueError):  # not from a file, or no longer
        return ()


def _check_colours(image: Image.Image) -> None:
    """Of 12 bits in 16 Pillow keeps 4: raise UndecodableError for an image that would be nearly black by that."""
    most = int(np.asarray(image).max())
    if 0 < most < DARK:
        raise TooDarkError(message("image.dark", most=most * 256 + 255))


def _from_wide_grey(image: Image.Image, white: int) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65_535:
        raise UndecodableError(message("image.range"))
    return Image.fromarray((values * (255 / white)).clip(0, 255).round().astype(np.uint8)).convert("RGB")


def _no_image(path: Path | IO[bytes], error: Exception) -> Message:
    return message("image.empty") if _is_empty(path) else message("image.none", error=_short(error))


def _is_empty(path: Path | IO[bytes]) -> bool:
    return isinstance(path, Path) and path.is_file() and path.stat().st_size == 0


def _short(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "unknown format" if "cannot identify" in text else text[:120]
