"""From a file to an RGB image, with every unusual kind of image handled explicitly.

EXIF rotation is applied. Palette and grey images become RGB, transparent ones are put on white, CMYK is converted, 16-bit
greys are scaled to 8 bits (not clipped), animations give their first frame. Images too large to be real are refused from
the header, before any pixel is decoded; floating-point images are refused because their range is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps

from nbtransfer.core.messages import Message, message

MOST_PIXELS = 1024**3 // 4 // 3  # Pillow warns from here on
MOST_ELONGATED = 100
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "TIFF", "WEBP", "PPM")
"""No other format is opened, whatever the suffix: some of Pillow's readers start programs or are rarely maintained."""
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jfif"})


class UndecodableError(ValueError):
    """This file is not an image we can use; the text says why."""


def check_header(path: Path) -> tuple[int, int]:
    """Width and height from the header alone; raises UndecodableError if the image cannot or must not be decoded."""
    with _open(path) as image:
        return image.size


def load_rgb(path: Path | IO[bytes], about: int | None = None) -> Image.Image:
    """The image in a file, which may be in memory, as 8-bit RGB, upright; raises UndecodableError with the reason.

    With `about` pixels on the shorter side being enough, JPEG files are decoded at reduced size, many times faster.
    """
    with _open(path) as image:
        if about is not None:
            image.draft("RGB", (about, about))
        return to_rgb(image)


def to_rgb(image: Image.Image) -> Image.Image:
    """An opened image as 8-bit RGB, upright; raises UndecodableError with the reason."""
    try:
        return _convert(ImageOps.exif_transpose(image))
    except UndecodableError:
        raise
    except Exception as error:  # Pillow's plugins raise almost anything on damaged data
        raise UndecodableError(message("image.damaged", error=str(error))) from error


@contextmanager
def _open(path: Path | IO[bytes]) -> Iterator[Image.Image]:
    try:
        image = Image.open(path, formats=FORMATS)
    except FileNotFoundError as error:
        raise UndecodableError(message("image.gone")) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UndecodableError(message("image.pixels", millions=MOST_PIXELS // 10**6)) from error
    except Exception as error:
        raise UndecodableError(_no_image(path, error)) from error
    with image:
        width, height = image.size
        # Resizing a very long image by its shorter side would need more memory than its pixels.
        if width * height > MOST_PIXELS or max(width, height) > MOST_ELONGATED * min(width, height):
            raise UndecodableError(message("image.claim", width=width, height=height))
        yield image


def _convert(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise UndecodableError(message("image.float"))
    if image.mode.startswith("I"):
        return _from_wide_grey(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    return image.convert("RGB")


def _from_wide_grey(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65_535:
        raise UndecodableError(message("image.range"))
    return Image.fromarray((values / 257).round().astype(np.uint8)).convert("RGB")


def _no_image(path: Path | IO[bytes], error: Exception) -> Message:
    return message("image.empty") if _is_empty(path) else message("image.none", error=_short(error))


def _is_empty(path: Path | IO[bytes]) -> bool:
    return isinstance(path, Path) and path.is_file() and path.stat().st_size == 0


def _short(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "unknown format" if "cannot identify" in text else text[:120]
