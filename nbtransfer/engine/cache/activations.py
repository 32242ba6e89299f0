"""The activations of frozen stages, image by image: how they are kept, and how they become batches again."""

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
    """How the activation of one image lies in memory.

    A convolution may compute other bits for other strides, so they are kept with the values. `computed` is the type that
    the values have in the model, `stored` the one they are kept in.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    computed: str
    stored: str

    @classmethod
    def of(cls, batch: torch.Tensor, stored: torch.dtype | None) -> Layout:
        """The layout of a batch (N, …); what does not lie densely, image after image, is kept in rows."""
        strides = batch.stride()[1:] if _dense(batch) else batch.contiguous().stride()[1:]
        return cls(tuple(batch.shape[1:]), tuple(strides), _name(batch.dtype), _name(stored or batch.dtype))

    @property
    def numbers(self) -> int:
        """Numbers in one image's activation."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes of one image's activation."""
        return self.numbers * self.dtype.itemsize

    @property
    def dtype(self) -> torch.dtype:
        """The type the values are kept in."""
        return getattr(torch, self.stored)  # type: ignore[no-any-return]

    def rows(self, batch: torch.Tensor) -> torch.Tensor:
        """A batch (N, …) as rows of bare numbers (N, numbers), in the order they lie in memory."""
        if batch.stride()[1:] != self.strides or not _dense(batch):  # another batch may come out in another order
            batch = batch.new_empty_strided((len(batch), *self.shape), (self.numbers, *self.strides)).copy_(batch)
        return batch.as_strided((len(batch), self.numbers), (self.numbers, 1)).to(self.dtype)

    def batch(self, rows: torch.Tensor) -> torch.Tensor:
        """The batch (N, …) that rows stand for."""
        values = rows.to(getattr(torch, self.computed))
        return values.as_strided((len(rows), *self.shape), (self.numbers, *self.strides))


def _dense(batch: torch.Tensor) -> bool:
    """Whether the images follow each other in memory without gaps."""
    numbers = math.prod(batch.shape[1:])
    by_stride = sorted(zip(batch.stride()[1:], batch.shape[1:], strict=True))
    expected = 1
    for stride, size in by_stride:
        if size > 1 and stride != expected:
            return False
        expected *= size
    return batch.stride(0) == numbers or len(batch) == 1


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


@dataclass(frozen=True, slots=True)
class Activations:
    """The activations of all images of a split in all their views: `rows` (views · images, numbers), view after view.

    `failed` says for images that could not be decoded why; their rows mean nothing.
    """

    layout: Layout
    rows: torch.Tensor
    images: int
    failed: Mapping[int, Message]

    @property
    def views(self) -> int:
        return len(self.rows) // self.images

    def on(self, device: torch.device) -> Activations:
        """The same on a GPU, where they take up no more than an eighth of its free memory."""
        if device.type != "cuda" or self.rows.nbytes > torch.cuda.mem_get_info(device)[0] // 8:
            return self
        return replace(self, rows=self.rows.to(device))

    def take(self, drawn: Sequence[ViewOfImage]) -> torch.Tensor:
        """The activations (N, …) of some views of some images."""
        places = [view * self.images + number for view, number in drawn]
        index = torch.tensor(places, dtype=torch.long, device=self.rows.device)
        return self.layout.batch(self.rows[index])


SPLITS: tuple[Split, ...] = ("train", "val")
"""The splits whose activations are kept: test images are looked at once."""
BothSplits = dict[Split, Activations]


class Writer:
    """Writes rows to a file as they come, or keeps them in memory where `path` is None.

    Rows are not written through a memory map: a disk that is full would end the process then.
    """

    def __init__(self, layout: Layout, count: int, path: Path | None) -> None:
        self._layout, self._count, self._path = layout, count, path
        self._file: BinaryIO | None = path.open("wb") if path else None
        self._kept = None if path else torch.empty(count, layout.numbers, dtype=layout.dtype)
        self._written = 0

    def add(self, rows: torch.Tensor) -> None:
        """Append rows; raises OSError when the disk is full."""
        rows = rows.cpu().contiguous()
        if self._file is not None:
            self._file.write(rows.view(torch.uint8).numpy().data)
        else:
            assert self._kept is not None
            self._kept[self._written : self._written + len(rows)] = rows
        self._written += len(rows)

    def close(self) -> torch.Tensor | None:
        """No more rows. Gives them where they are in memory."""
        if self._file is not None:
            self._file.close()
        return self._kept


def read_rows(path: Path, layout: Layout, count: int) -> torch.Tensor:
    """Rows (count, numbers) from a file, mapped into memory: they are read from the disk when they are first used.

    Raises OSError when the file is not there.
    """
    try:
        flat = torch.from_file(str(path), shared=False, size=count * layout.numbers, dtype=layout.dtype)
    except RuntimeError as error:
        raise OSError(f"{path} cannot be read ({str(error).splitlines()[0]})") from error
    return flat.view(count, layout.numbers)


class CachedBatches:
    """The batches that `order` makes, of activations instead of images."""

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
        for drawn in self._order:
            yield self._batch(drawn)

    def everything(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Activations (N, views, …) and labels (N,) of all images that can be used."""
        numbers = [n for n in range(len(self.images)) if n not in self._failed]
        views = [self.activations.take([(view, n) for n in numbers]) for view in range(self.activations.views)]
        return torch.stack(views, dim=1), self._labels[numbers]

    @property
    def unusable(self) -> list[tuple[int, Message]]:
        """Images left out, with the reason."""
        return sorted(self._failed.items())

    def _batch(self, drawn: Sequence[ViewOfImage]) -> Batch:
        good = [(view, number) for view, number in drawn if number not in self._failed]
        numbers = [number for _, number in good]
        failed = [(number, self._failed[number]) for _, number in drawn if number in self._failed]
        return Batch(self.activations.take(good), self._labels[numbers], numbers, failed)
