"""The activations of frozen stages: their layout, files, and batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import torch

from nbtransfer.core.messages import Message
from nbtransfer.core.task import Split
from nbtransfer.engine.data.batches import Batch, Images
from nbtransfer.engine.data.order import Order, Sweep, ViewOfImage


@dataclass(frozen=True, slots=True)
class Layout:
    """The memory layout of one image's activation.

    Strides are stored too, because a convolution may give other last bits for other strides. `computed` is the dtype in the
    model, `stored` the dtype in the cache.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    computed: str
    stored: str

    @classmethod
    def of(cls, batch: torch.Tensor, stored: torch.dtype | None) -> Layout:
        """The layout of a batch (N, …); images that are not dense in memory are stored contiguously."""
        strides = batch.stride()[1:] if _is_dense(batch) else batch.contiguous().stride()[1:]
        return cls(tuple(batch.shape[1:]), tuple(strides), _dtype_name(batch.dtype), _dtype_name(stored or batch.dtype))

    @property
    def numel(self) -> int:
        """The number of values in one image's activation."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes of one image's activation."""
        return self.numel * self.dtype.itemsize

    @property
    def dtype(self) -> torch.dtype:
        """The dtype in the cache."""
        return getattr(torch, self.stored)  # type: ignore[no-any-return]

    def rows(self, batch: torch.Tensor) -> torch.Tensor:
        """A batch (N, …) as rows of values (N, numel), in memory order."""
        if batch.stride()[1:] != self.strides or not _is_dense(batch):  # another batch may have another layout
            batch = batch.new_empty_strided((len(batch), *self.shape), (self.numel, *self.strides)).copy_(batch)
        return batch.as_strided((len(batch), self.numel), (self.numel, 1)).to(self.dtype)

    def batch(self, rows: torch.Tensor) -> torch.Tensor:
        """The inverse of `rows`: a batch (N, …)."""
        values = rows.to(getattr(torch, self.computed))
        return values.as_strided((len(rows), *self.shape), (self.numel, *self.strides))


def _is_dense(batch: torch.Tensor) -> bool:
    """Whether the images are contiguous in memory, without gaps."""
    numbers = math.prod(batch.shape[1:])
    by_stride = sorted(zip(batch.stride()[1:], batch.shape[1:], strict=True))
    expected = 1
    for stride, size in by_stride:
        if size > 1 and stride != expected:
            return False
        expected *= size
    return batch.stride(0) == numbers or len(batch) == 1


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


@dataclass(frozen=True, slots=True)
class Activations:
    """The activations of all images of a split in all views: `rows` (views · images, numel), view by view.

    `failed` gives the reason for images that could not be decoded; their rows are meaningless.
    """

    layout: Layout
    rows: torch.Tensor
    images: int
    failed: Mapping[int, Message]

    @property
    def views(self) -> int:
        return len(self.rows) // self.images

    def to(self, device: torch.device) -> Activations:
        """A copy on a GPU, if it takes at most an eighth of the free memory; else the same activations."""
        if device.type != "cuda" or self.rows.nbytes > torch.cuda.mem_get_info(device)[0] // 8:
            return self
        return replace(self, rows=self.rows.to(device))

    def take(self, items: Sequence[ViewOfImage]) -> torch.Tensor:
        """The activations (N, …) of some views of some images."""
        places = [view * self.images + number for view, number in items]
        index = torch.tensor(places, dtype=torch.long, device=self.rows.device)
        return self.layout.batch(self.rows[index])


SPLITS: tuple[Split, ...] = ("train", "val")
"""The splits with cached activations: test images are evaluated only once."""
BothSplits = dict[Split, Activations]


class Writer:
    """Writes rows to a file one batch at a time, or keeps them in memory if `path` is None.

    It does not use a memory map: a full disk would then kill the process.
    """

    def __init__(self, layout: Layout, count: int, path: Path | None) -> None:
        self._layout, self._count, self._path = layout, count, path
        self._file: BinaryIO | None = path.open("wb") if path else None
        self._rows = None if path else torch.empty(count, layout.numel, dtype=layout.dtype)
        self._written = 0

    def add(self, rows: torch.Tensor) -> None:
        """Append rows; raises OSError if the disk is full."""
        rows = rows.cpu().contiguous()
        if self._file is not None:
            self._file.write(rows.view(torch.uint8).numpy().data)
        else:
            assert self._rows is not None
            self._rows[self._written : self._written + len(rows)] = rows
        self._written += len(rows)

    def close(self) -> torch.Tensor | None:
        """Finish; returns the rows if they are in memory."""
        if self._file is not None:
            self._file.close()
        return self._rows


def read_rows(path: Path, layout: Layout, count: int) -> torch.Tensor:
    """Rows (count, numel) from a memory-mapped file: values are read when they are first used.

    Raises OSError if the file does not exist.
    """
    try:
        flat = torch.from_file(str(path), shared=False, size=count * layout.numel, dtype=layout.dtype)
    except RuntimeError as error:
        raise OSError(f"{path} cannot be read ({str(error).splitlines()[0]})") from error
    return flat.view(count, layout.numel)


class CachedBatches:
    """The batches of `order`, of activations instead of images."""

    def __init__(self, activations: Activations, start: int, images: Images, order: Order | Sweep) -> None:
        self.activations, self.start, self.images, self.workers = activations, start, images, 0
        self._order = order
        changed = {number: reason for number in range(len(images)) if (reason := images.problem(number))}
        self._failed = {**changed, **activations.failed}
        self._labels = torch.tensor([sample.label for sample in images.samples])

    def __len__(self) -> int:
        return len(self._order)

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """The batches of epoch `number`, from batch `first` on."""
        self._order.epoch, self._order.first = number, first
        for items in self._order:
            yield self._batch(items)

    def usable(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Activations (N, views, …) and labels (N,) of all usable images."""
        numbers = [n for n in range(len(self.images)) if n not in self._failed]
        views = [self.activations.take([(view, n) for n in numbers]) for view in range(self.activations.views)]
        return torch.stack(views, dim=1), self._labels[numbers]

    @property
    def unusable_images(self) -> list[tuple[int, Message]]:
        """The numbers of unusable images, with the reason."""
        return sorted(self._failed.items())

    def _batch(self, items: Sequence[ViewOfImage]) -> Batch:
        good = [(view, number) for view, number in items if number not in self._failed]
        numbers = [number for _, number in good]
        failed = [(number, self._failed[number]) for _, number in items if number in self._failed]
        return Batch(self.activations.take(good), self._labels[numbers], numbers, failed)
