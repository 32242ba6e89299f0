"""Small pictures that a model can learn from."""

from __future__ import annotations

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
