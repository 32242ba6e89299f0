"""Where a measurement takes place: the device, how large things are, and images that need no network."""

from __future__ import annotations

import functools
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import nbtransfer as nt

CLASSES, GRAIN = 3, 4


@dataclass(frozen=True)
class Sizes:
    """How much is computed.

    network        what is checked on; `small` images of it with `side` pixels, in batches of `few`
    large          images for a transformer, which takes 224 pixels only
    rated          images of the rates, and the batch size there
    backbones      those whose rates are measured
    epochs         of a job over frozen layers, and of one in which all layers learn
    """

    network: str
    small: int
    side: int
    few: int
    large: int
    rated: int
    batch: int
    rated_side: int
    backbones: tuple[str, ...]
    epochs: int
    epochs_of_all: int
    repeats: int


FULL = Sizes(
    network="resnet18", small=288, side=96, few=32, large=144, rated=2304, batch=128, rated_side=224,
    backbones=("resnet50", "convnext_tiny", "vit_b_16"), epochs=10, epochs_of_all=3, repeats=20,
)  # fmt: skip
DRY = Sizes(
    network="shufflenet_v2_x0_5", small=18, side=32, few=4, large=12, rated=18, batch=4, rated_side=32,
    backbones=("shufflenet_v2_x0_5",), epochs=2, epochs_of_all=2, repeats=2,
)  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """A device, sizes, and a folder that is removed afterwards; the home of all runs is in it."""

    device: torch.device
    sizes: Sizes
    folder: Path

    def __post_init__(self) -> None:
        os.environ["NBTRANSFER_HOME"] = str(self.folder / "home")

    @property
    def gpu(self) -> bool:
        return self.device.type == "cuda"

    @functools.cached_property
    def small(self) -> nt.Task:
        """A task for a network that takes images of any size."""
        return task(self.sizes.small, self.sizes.side, "small")

    @functools.cached_property
    def large(self) -> nt.Task:
        """A task of 224 pixels."""
        return task(self.sizes.large, 224, "large")

    @functools.cached_property
    def rated(self) -> nt.Task:
        """Images that are decoded already, as many as rates are measured on."""
        return task(self.sizes.rated, self.sizes.rated_side, "rated")

    @functools.cached_property
    def files(self) -> nt.Task:
        """As many images as JPEG files, larger than the network takes them."""
        side = self.sizes.rated_side * 8 // 7
        pixels, labels = pictures(self.sizes.rated, side)
        root = self.folder / "files"
        for label in range(CLASSES):
            (root / f"class{label}").mkdir(parents=True)

        def keep(number: int) -> None:
            Image.fromarray(pixels[number]).save(root / f"class{labels[number]}" / f"{number:05}.jpg", quality=90)

        with ThreadPoolExecutor() as pool:
            list(pool.map(keep, range(len(pixels))))
        return nt.Task.from_folder(root, holdout=1 / 9)

    def wait(self) -> None:
        """Until the device has done everything."""
        if self.gpu:
            torch.cuda.synchronize(self.device)

    def tidy_up(self) -> None:
        """Remove runs and caches, and hand memory back."""
        for name in ("runs", "caches", "cache"):
            shutil.rmtree(self.folder / "home" / name, ignore_errors=True)
        if self.gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)


@functools.lru_cache(maxsize=1)
def pictures(count: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Grainy patches of one colour a class, uint8 (count, side, side, 3), and their labels."""
    labels = np.arange(count) % CLASSES
    colours = np.array([(40, 60, 200), (40, 190, 60), (210, 50, 40)], dtype=np.int16)[labels]
    grains = np.random.default_rng(count * side).integers(-40, 40, (count, side // GRAIN, side // GRAIN, 1), dtype=np.int16)
    coarse = (colours[:, None, None] + grains).clip(0, 255).astype(np.uint8)
    return coarse.repeat(GRAIN, 1).repeat(GRAIN, 2), labels


def task(count: int, side: int, name: str) -> nt.Task:
    pixels, labels = pictures(count, side)
    return nt.Task.from_arrays(pixels, labels, holdout=1 / 9, name=name)
