"""Two drawn tasks: outlines and solid shapes to learn from, textures to transfer to. The same seed draws the same images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

SIZE = 32
LARGE = 128
"""Shapes are drawn in this many pixels, then reduced: that smooths their edges."""

Points = list[tuple[float, float]]
Rng = np.random.Generator


def polygon(corners: int) -> Callable[[], Points]:
    return lambda: [(np.sin(2 * np.pi * k / corners), -np.cos(2 * np.pi * k / corners)) for k in range(corners)]


def star() -> Points:
    radii = (1.0, 0.42)
    return [(radii[k % 2] * np.sin(np.pi * k / 5), -radii[k % 2] * np.cos(np.pi * k / 5)) for k in range(10)]


def cross() -> Points:
    arm, thick = 1.0, 0.33
    return [
        (-thick, -arm), (thick, -arm), (thick, -thick), (arm, -thick), (arm, thick), (thick, thick),
        (thick, arm), (-thick, arm), (-thick, thick), (-arm, thick), (-arm, -thick), (-thick, -thick),
    ]  # fmt: skip


def crescent() -> Points:
    angles = np.linspace(0.25 * np.pi, 1.75 * np.pi, 24)
    outer = [(np.cos(angle), np.sin(angle)) for angle in angles]
    return outer + [(0.35 + 0.72 * x, 0.72 * y) for x, y in reversed(outer)]


SHAPES: dict[str, Callable[[], Points]] = {
    "circle": polygon(40),
    "triangle": polygon(3),
    "square": polygon(4),
    "star": star,
    "cross": cross,
    "crescent": crescent,
}


def shape(name: str, rng: Rng) -> np.ndarray:
    """A shape of random place, size, turn and colours, solid or as an outline, on a noisy ground: uint8 (32, 32, 3)."""
    ground, ink = two_colours(rng)
    image = Image.new("RGB", (LARGE, LARGE), tuple(ground))
    radius, turn = rng.uniform(0.22, 0.42) * LARGE, rng.uniform(0, 2 * np.pi)
    middle = rng.uniform(radius, LARGE - radius, 2)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = [tuple(middle + radius * (rotation @ point)) for point in np.array(SHAPES[name]())]
    draw = ImageDraw.Draw(image)
    if rng.random() < 0.5:
        draw.polygon(points, fill=tuple(ink))
    else:
        draw.line([*points, points[0], points[1]], fill=tuple(ink), width=int(rng.integers(8, 15)), joint="curve")
    return noisy(np.asarray(image.resize((SIZE, SIZE), Image.Resampling.LANCZOS), float), rng)


def texture(name: str, rng: Rng) -> np.ndarray:
    """A texture of random scale, direction, phase and colours, with noise: uint8 (32, 32, 3)."""
    ground, ink = two_colours(rng)
    turn, period = rng.uniform(0, 2 * np.pi), rng.uniform(5, 11)
    y, x = np.mgrid[:SIZE, :SIZE] - rng.uniform(0, SIZE, 2)[:, None, None]
    u, v = (np.cos(turn) * x + np.sin(turn) * y) / period, (np.cos(turn) * y - np.sin(turn) * x) / period
    amount = TEXTURES[name](u, v, rng)[..., None]
    return noisy(ground + amount * (ink - ground), rng)


def stripes(u: np.ndarray, _v: np.ndarray, _rng: Rng) -> np.ndarray:
    return soft(np.sin(2 * np.pi * u))


def waves(u: np.ndarray, v: np.ndarray, rng: Rng) -> np.ndarray:
    return soft(np.sin(2 * np.pi * (u + rng.uniform(0.2, 0.35) * np.sin(2 * np.pi * v / rng.uniform(1.2, 2)))))


def checks(u: np.ndarray, v: np.ndarray, _rng: Rng) -> np.ndarray:
    return soft(np.sin(np.pi * u) * np.sin(np.pi * v))


def dots(u: np.ndarray, v: np.ndarray, rng: Rng) -> np.ndarray:
    return soft(4 * (rng.uniform(0.25, 0.38) - np.hypot(u - np.round(u), v - np.round(v))))


def bricks(u: np.ndarray, v: np.ndarray, _rng: Rng) -> np.ndarray:
    shifted = u / 2 + 0.5 * (np.floor(v) % 2)
    joint = np.minimum(2 * np.abs(shifted - np.round(shifted)), np.abs(v - np.round(v)))
    return soft(8 * (joint - 0.12))


def clouds(_u: np.ndarray, _v: np.ndarray, rng: Rng) -> np.ndarray:
    coarse = Image.fromarray(rng.uniform(0, 255, (7, 7)).astype(np.uint8)).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return np.asarray(coarse, float) / 255


TEXTURES: dict[str, Callable[[np.ndarray, np.ndarray, Rng], np.ndarray]] = {
    "stripes": stripes,
    "waves": waves,
    "checks": checks,
    "dots": dots,
    "bricks": bricks,
    "clouds": clouds,
}


def soft(values: np.ndarray) -> np.ndarray:
    """From 0 to 1, with edges about a pixel wide."""
    return 1 / (1 + np.exp(-4 * np.clip(values, -10, 10)))


def two_colours(rng: Rng) -> np.ndarray:
    """Two colours that differ in brightness: (2, 3)."""
    while True:
        colours = rng.uniform(0, 255, (2, 3)).round()
        if abs(colours[0].mean() - colours[1].mean()) > 50:
            return colours.astype(int)


def noisy(pixels: np.ndarray, rng: Rng) -> np.ndarray:
    return np.clip(pixels + rng.normal(0, rng.uniform(4, 20), pixels.shape), 0, 255).round().astype(np.uint8)


def drawn(draw: Callable[[str, Rng], np.ndarray], names: dict[str, Callable], count: int, seed: int) -> dict[str, np.ndarray]:
    """So many images of each class."""
    rng = np.random.default_rng(seed)
    return {name: np.stack([draw(name, rng) for _ in range(count)]) for name in names}
