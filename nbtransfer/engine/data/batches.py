"""Batches of images, in an order and with random changes that depend on seed, epoch and image alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.utils.data import DataLoader, Dataset

from nbtransfer.core.backbone import InputSpec
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.task import Sample, Split, TaskCard
from nbtransfer.engine.data.custom_transform import transform
from nbtransfer.engine.data.order import Order, Sweep, ViewOfImage
from nbtransfer.engine.data.preprocess import Augment, shape
from nbtransfer.tasks.decode import UndecodableError
from nbtransfer.tasks.source import ImageSource

MEMORY_FOR_IMAGES = 2 * 2**30


@dataclass(slots=True)
class Batch:
    """`inputs` (N, …): uint8 pixels (N, 3, size, size), or what enters a later stage of the shared layers.

    `labels` (N,), `numbers` the images' places in their split.
    `failed` names images that could not be decoded, with the reason; they are not in the batch.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    numbers: list[int]
    failed: list[tuple[int, str]]

    def __len__(self) -> int:
        return len(self.numbers)

    def pin_memory(self) -> Batch:
        """Called by the loader where a GPU copies from pinned memory."""
        return Batch(self.inputs.pin_memory(), self.labels.pin_memory(), self.numbers, self.failed)


class Images(Dataset[tuple[int, torch.Tensor | str]]):
    """The images of one split; kept in memory once decoded where they fit and are always shaped alike."""

    def __init__(self, task: TaskCard, split: Split, spec: InputSpec, augment: Augment | None, keep: bool) -> None:
        self.samples: list[Sample] = list(task.split(split))
        self._source, self._spec, self.augment = ImageSource(task), spec, augment
        fits = len(self.samples) * 3 * spec.size**2 <= MEMORY_FOR_IMAGES
        self._kept: dict[int, torch.Tensor] | None = {} if keep and fits and not (augment and augment.reshapes) else None

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def kept(self) -> bool:
        """Whether an image is decoded once and then kept."""
        return self._kept is not None

    @property
    def undecoded(self) -> Sequence[int]:
        """Numbers of the images that are to be decoded when they are wanted."""
        numbers = range(len(self))
        return [number for number in numbers if number not in self._kept] if self._kept else numbers

    @property
    def views(self) -> int | None:
        """In how many ways an image can look; None if it is drawn anew every time."""
        return self.augment.views if self.augment else 1

    def __getitem__(self, drawn: ViewOfImage) -> tuple[int, torch.Tensor | str]:
        view, number = drawn
        try:
            if self.augment is None:
                return number, self._shaped(number)
            if self.augment.reshapes:
                return number, self.augment.reshaped(self._source.image(self.samples[number]), view, number)
            return number, self.augment.change(self._shaped(number), view, number)
        except UndecodableError as error:
            return number, str(error)

    def problem(self, number: int) -> str | None:
        """Why an image can no longer be used although it was seen before: its file is gone or another one."""
        try:
            self._source.check(self.samples[number])
        except UndecodableError as error:
            return str(error)
        return None

    def _shaped(self, number: int) -> torch.Tensor:
        if self._kept is not None and number in self._kept:
            return self._kept[number]
        pixels = shape(self._source.image(self.samples[number]), self._spec)
        if self._kept is not None:
            self._kept[number] = pixels
        return pixels

    def collate(self, items: Sequence[tuple[int, torch.Tensor | str]]) -> Batch:
        """Put the decoded images of a batch together and the failures aside."""
        good = [(n, pixels) for n, pixels in items if isinstance(pixels, torch.Tensor)]
        failed = [(n, reason) for n, reason in items if isinstance(reason, str)]
        pixels = torch.stack([p for _, p in good]) if good else torch.empty(0, 3, self._spec.size, self._spec.size)
        labels = torch.tensor([self.samples[n].label for n, _ in good], dtype=torch.long)
        return Batch(pixels, labels, [n for n, _ in good], failed)


class Batches(Protocol):
    """The batches of one split, epoch after epoch.

    What they hold enters the shared layers at stage number `start`: 0 for pixels, the number of stages for features.
    """

    images: Images
    start: int
    workers: int

    def __len__(self) -> int: ...

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """The batches of epoch `number`, from batch `first` on."""


class PixelBatches:
    """Batches of images, decoded here or by helpers."""

    start = 0

    def __init__(self, images: Images, order: Order | Sweep, workers: int, pin: bool) -> None:
        self.images, self.workers, self.pin = images, workers, pin
        self._order = order
        self._loader = DataLoader(
            images,
            batch_sampler=order,
            collate_fn=images.collate,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=pin,
            # Without a generator of its own a loader draws from torch's global one, and a resumed run would differ.
            generator=torch.Generator().manual_seed(0),
        )

    def __len__(self) -> int:
        return len(self._order)

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        self._order.epoch, self._order.first = number, first
        return iter(self._loader)


@dataclass(frozen=True, slots=True)
class TaskData:
    """Batches of the three splits; `test` is None where the task has none."""

    train: Batches
    val: Batches
    test: Batches | None


def prepare(recipe: Recipe, spec: InputSpec, device: torch.device) -> TaskData:
    """Everything the loop needs from the task."""
    workers = recipe.loader_workers
    if workers is None:
        workers = 4 if device.type == "cuda" else 0

    def batches(split: Split) -> PixelBatches:
        augment = augmentation(recipe, spec) if split == "train" else None
        images = Images(recipe.task, split, spec, augment, keep=workers == 0)
        return PixelBatches(images, order(recipe, images, split), workers, pin=device.type == "cuda")

    return TaskData(batches("train"), batches("val"), batches("test") if recipe.task.sizes["test"] else None)


def augmentation(recipe: Recipe, spec: InputSpec) -> Augment | None:
    """The random changes of training images; None where there are none. Raises CodeError."""
    own = transform(recipe.transform, recipe.code) if recipe.transform else None
    return Augment(recipe.augment, spec, recipe.all_views, recipe.seed, own) if recipe.augment or own else None


def order(recipe: Recipe, images: Images, split: Split) -> Order:
    """Training images are shuffled, all others come in the order of the manifest."""
    view = images.augment.view if images.augment else None
    return Order(len(images), recipe.batch_size, recipe.seed if split == "train" else None, view)
