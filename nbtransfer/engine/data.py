"""Batches of images, in an order and with random changes that depend on seed, epoch and image alone.

Nothing here keeps random state: the n-th image of an epoch looks the same whether it is loaded by this process or by
a helper, in a fresh run or in one that goes on in the middle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Dataset

from nbtransfer.core.backbone import InputSpec
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.task import Sample, Split, TaskCard
from nbtransfer.engine.preprocess import Augment, shape
from nbtransfer.tasks.decode import UndecodableError
from nbtransfer.tasks.source import ImageSource

MEMORY_FOR_IMAGES = 2 * 2**30
Drawn = tuple[int, int]
"""An epoch and the number of an image in its split."""


@dataclass(slots=True)
class Batch:
    """`pixels` uint8 (N, 3, size, size), `labels` (N,), `numbers` the images' places in their split.

    `failed` names images that could not be decoded, with the reason; they are not in the batch.
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    numbers: list[int]
    failed: list[tuple[int, str]]

    def __len__(self) -> int:
        return len(self.numbers)

    def pin_memory(self) -> Batch:
        """Called by the loader where a GPU copies from pinned memory."""
        return Batch(self.pixels.pin_memory(), self.labels.pin_memory(), self.numbers, self.failed)


class Images(Dataset[tuple[int, torch.Tensor | str]]):
    """The images of one split; kept in memory once decoded where they fit and are always shaped alike."""

    def __init__(self, task: TaskCard, split: Split, spec: InputSpec, augment: Augment | None, seed: int, keep: bool) -> None:
        self.samples: list[Sample] = list(task.split(split))
        self._source, self._spec, self._augment, self._seed = ImageSource(task), spec, augment, seed
        fits = len(self.samples) * 3 * spec.size**2 <= MEMORY_FOR_IMAGES
        self._kept: dict[int, torch.Tensor] | None = {} if keep and fits and not (augment and augment.crops) else None

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, drawn: Drawn) -> tuple[int, torch.Tensor | str]:
        epoch, number = drawn
        try:
            if self._augment is None:
                return number, self._shaped(number)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(image_seed(self._seed, epoch, number))
                return number, self._augment.change(self._shaped(number))
        except UndecodableError as error:
            return number, str(error)

    def _shaped(self, number: int) -> torch.Tensor:
        if self._kept is not None and number in self._kept:
            return self._kept[number]
        image = self._source.image(self.samples[number])
        pixels = self._augment.shape(image) if self._augment else shape(image, self._spec)
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


class Order:
    """Which images make which batch of an epoch: shuffled by seed and epoch, or in manifest order.

    A last batch of a single image, which normalisation layers cannot learn from, joins the one before.
    """

    def __init__(self, count: int, batch_size: int, seed: int | None) -> None:
        self._count, self._batch_size, self._seed = count, batch_size, seed
        self.epoch = 0

    def __len__(self) -> int:
        batches, rest = divmod(self._count, self._batch_size)
        return max(1, batches + (rest > 1 or (rest == 1 and self._seed is None)))

    def __iter__(self) -> Iterator[list[Drawn]]:
        numbers = range(self._count) if self._seed is None else _shuffled(self._count, image_seed(self._seed, self.epoch, -1))
        drawn = [(self.epoch, number) for number in numbers]
        for batch in range(len(self)):
            last = batch == len(self) - 1
            start = batch * self._batch_size
            yield drawn[start:] if last else drawn[start : start + self._batch_size]


class Batches:
    """The batches of one split, epoch after epoch."""

    def __init__(self, images: Images, order: Order, workers: int, pin: bool) -> None:
        self.images = images
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

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of epoch `number`."""
        self._order.epoch = number
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
    pin = device.type == "cuda"

    def batches(split: Split) -> Batches:
        augment = Augment(recipe.augment, spec) if split == "train" and recipe.augment else None
        images = Images(recipe.task, split, spec, augment, recipe.seed, keep=workers == 0)
        order = Order(len(images), recipe.batch_size, recipe.seed if split == "train" else None)
        return Batches(images, order, workers, pin)

    return TaskData(batches("train"), batches("val"), batches("test") if recipe.task.sizes["test"] else None)


def image_seed(seed: int, epoch: int, number: int) -> int:
    """A seed of 63 bits that depends on all three."""
    digest = hashlib.blake2b(f"{seed}/{epoch}/{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _shuffled(count: int, seed: int) -> list[int]:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
