"""Small pictures that a model can learn from."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "green": (40, 190, 60), "red": (210, 50, 40)}


def picture(colour: tuple[int, int, int], seed: int, size: int = 40) -> Image.Image:
    """A noisy patch of one colour; the same seed gives the same picture."""
    noise = np.random.default_rng(seed).integers(-30, 30, (size, size, 3))
    return Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))


def folder_of_pictures(root: Path, size: int = 40) -> Path:
    """`root/<colour>/<n>.png`: three classes of twelve pictures that a model learns within seconds."""
    for offset, (name, colour) in enumerate(COLOURS.items()):
        (root / name).mkdir(parents=True)
        for number in range(12):
            picture(colour, 100 * offset + number, size).save(root / name / f"{number:02}.png")
    return root


def save_wide_colours(path: Path, values: np.ndarray) -> None:
    """A PNG file with 16 bits for each colour, which Pillow cannot write; values are (H, W, 3)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width, _ = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
