"""Batches of images. Their order and augmentation depend on seed, epoch and image alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.utils.data import DataLoader, Dataset

from nbtransfer.core.backbone import InputSpec
from nbtransfer.core.messages import Message, message_of
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.task import Sample, Split, TaskCard
from nbtransfer.engine.data.custom_transform import load_transform
from nbtransfer.engine.data.order import Order, Sweep, ViewOfImage
from nbtransfer.engine.data.preprocess import Augment, resize_and_crop
from nbtransfer.tasks.decode import UndecodableError
from nbtransfer.tasks.source import ImageSource

MEMORY_FOR_IMAGES = 2 * 2**30


@dataclass(slots=True)
class Batch:
    """`inputs` (N, …): uint8 pixels (N, 3, size, size), or the inputs of a later stage of the shared layers.

    `labels` (N,); `numbers`: the images' positions in their split.
    `failed`: images that could not be decoded, with the reason; they are not in the batch.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    numbers: list[int]
    failed: list[tuple[int, Message]]

    def __len__(self) -> int:
        return len(self.numbers)

    def pin_memory(self) -> Batch:
        """Called by the loader on machines with a GPU, which copies from pinned memory."""
        return Batch(self.inputs.pin_memory(), self.labels.pin_memory(), self.numbers, self.failed)


class Images(Dataset[tuple[int, torch.Tensor | Message]]):
    """The images of one split; kept in memory once decoded if they fit and their crop never changes."""

    def __init__(self, task: TaskCard, split: Split, spec: InputSpec, augment: Augment | None, keep: bool) -> None:
        self.samples: list[Sample] = list(task.split(split))
        self._source, self._spec, self.augment = ImageSource(task), spec, augment
        fits = len(self.samples) * 3 * spec.pixels <= MEMORY_FOR_IMAGES
        self._kept: dict[int, torch.Tensor] | None = {} if keep and fits and not (augment and augment.needs_original) else None

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def kept(self) -> bool:
        """Whether an image is decoded once and then kept."""
        return self._kept is not None

    @property
    def undecoded(self) -> Sequence[int]:
        """Numbers of the images that are not in memory."""
        numbers = range(len(self))
        return [number for number in numbers if number not in self._kept] if self._kept else numbers

    @property
    def views(self) -> int | None:
        """The number of views of an image; None if each epoch draws a new one."""
        return self.augment.views if self.augment else 1

    def __getitem__(self, item: ViewOfImage) -> tuple[int, torch.Tensor | Message]:
        view, number = item
        try:
            if self.augment is None:
                return number, self._pixels(number)
            if self.augment.needs_original:
                return number, self.augment.view_from_image(self._source.image(self.samples[number]), view, number)
            return number, self.augment.view_from_pixels(self._pixels(number), view, number)
        except UndecodableError as error:
            return number, message_of(error)

    def problem(self, number: int) -> Message | None:
        """Why an image that was usable no longer is: its file is gone or has changed."""
        try:
            self._source.check(self.samples[number])
        except UndecodableError as error:
            return message_of(error)
        return None

    def _pixels(self, number: int) -> torch.Tensor:
        if self._kept is not None and number in self._kept:
            return self._kept[number]
        pixels = resize_and_crop(self._source.image(self.samples[number]), self._spec)
        if self._kept is not None:
            self._kept[number] = pixels
        return pixels

    def collate(self, items: Sequence[tuple[int, torch.Tensor | Message]]) -> Batch:
        """Stack the decoded images of a batch and list the failures."""
        good = [(n, pixels) for n, pixels in items if isinstance(pixels, torch.Tensor)]
        failed = [(n, reason) for n, reason in items if isinstance(reason, Message)]
        pixels = torch.stack([p for _, p in good]) if good else torch.empty(0, 3, *self._spec.shape)
        labels = torch.tensor([self.samples[n].label for n, _ in good], dtype=torch.long)
        return Batch(pixels, labels, [n for n, _ in good], failed)


class Batches(Protocol):
    """The batches of one split, epoch after epoch.

    Their inputs are those of stage number `start` of the shared layers: 0 for pixels, the number of stages for features.
    """

    images: Images
    start: int
    workers: int

    def __len__(self) -> int: ...

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """The batches of epoch `number`, from batch `first` on."""


class PixelBatches:
    """Batches of images, decoded in this process or in workers."""

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
            # Without its own generator the loader draws from torch's global one, and a resumed run would differ.
            generator=torch.Generator().manual_seed(0),
        )

    def __len__(self) -> int:
        return len(self._order)

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        self._order.epoch, self._order.first = number, first
        return iter(self._loader)


@dataclass(frozen=True, slots=True)
class TaskData:
    """Batches of the three splits; `test` is None if the task has no test split."""

    train: Batches
    val: Batches
    test: Batches | None

    def of(self, split: Split) -> Batches:
        """The batches of the training or the validation split."""
        return self.train if split == "train" else self.val


def prepare(recipe: Recipe, spec: InputSpec, device: torch.device) -> TaskData:
    """The batches of all splits of a recipe's task."""
    workers = recipe.loader_workers
    if workers is None:
        workers = 4 if device.type == "cuda" else 0

    def batches(split: Split) -> PixelBatches:
        augment = augmentation(recipe, spec) if split == "train" else None
        images = Images(recipe.task, split, spec, augment, keep=workers == 0)
        return PixelBatches(images, order(recipe, images, split), workers, pin=device.type == "cuda")

    return TaskData(batches("train"), batches("val"), batches("test") if recipe.task.sizes["test"] else None)


def augmentation(recipe: Recipe, spec: InputSpec) -> Augment | None:
    """The augmentation of training images; None if the recipe has none. Raises CodeError."""
    custom = load_transform(recipe.transform, recipe.code) if recipe.transform else None
    return Augment(recipe.augment, spec, recipe.all_views, recipe.seed, custom) if recipe.augment or custom else None


def order(recipe: Recipe, images: Images, split: Split) -> Order:
    """Shuffled for training images, manifest order for all others."""
    view = images.augment.view if images.augment else None
    return Order(len(images), recipe.batch_size, recipe.seed if split == "train" else None, view)
