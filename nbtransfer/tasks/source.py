"""From a sample of the manifest to its image."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nbtransfer.core.messages import message
from nbtransfer.core.task import Sample, TaskCard
from nbtransfer.tasks import arrays, identity
from nbtransfer.tasks.datasets import CustomDataset
from nbtransfer.tasks.decode import MOST_PIXELS, UndecodableError, load_rgb

ROW = re.compile(r"[0-9]{1,18}")


class ImageSource:
    """Decodes the examples of a task. Keeps no file open, so loader processes may inherit it."""

    def __init__(self, task: TaskCard) -> None:
        self._task = task
        self._root = Path(task.root)

    def image(self, sample: Sample, about: int | None = None) -> Image.Image:
        """The example as 8-bit RGB; raises UndecodableError if it cannot be decoded or its file has changed.

        `about` pixels on the shorter side are enough, see `load_rgb`.
        """
        if self._task.kind == "arrays":
            return self._from_array(_row(sample))
        if self._task.kind == "code":
            return self._dataset.image(_row(sample), sample.label, self._task.classes[sample.label])
        self.check(sample)
        return load_rgb(self._root / sample.source, about, self._task.reading)

    def check(self, sample: Sample) -> None:
        """Raise UndecodableError if the file has changed: its label may no longer be right."""
        if self._task.kind == "arrays":
            assert self._array is not None  # checked as a whole, once
        if self._task.kind != "folder":
            return  # a dataset checks its own labels
        if Path(sample.source).is_absolute() or ".." in Path(sample.source).parts or "\0" in sample.source:
            raise UndecodableError(message("image.outside"))
        try:
            unchanged = identity.is_unchanged(self._root / sample.source, sample.digest)
        except OSError as error:
            raise UndecodableError(message("image.gone")) from error
        if not unchanged:
            raise UndecodableError(message("image.changed"))

    @cached_property
    def _array(self) -> np.ndarray[Any, Any]:
        try:
            with np.errstate(over="raise"):  # NumPy multiplies the shape in the header
                found = np.load(self._root, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError, ArithmeticError) as error:  # the header may claim more than the file holds
            raise UndecodableError(message("array.damaged", error=str(error))) from error
        shape: tuple[int, ...] = getattr(found, "shape", ())
        if len(shape) != 4 or found.dtype != np.uint8 or shape[3] not in (1, 3) or not 0 < shape[1] * shape[2] <= MOST_PIXELS:
            raise UndecodableError(message("array.other"))
        if arrays.digest_of(found) != self._root.stem:
            raise UndecodableError(message("array.changed"))
        return found  # type: ignore[no-any-return]

    @cached_property
    def _dataset(self) -> CustomDataset:
        assert self._task.code is not None
        return CustomDataset(self._task.root, self._task.code, self._task.arguments)

    def _from_array(self, row: int) -> Image.Image:
        if row >= len(self._array):
            raise UndecodableError(message("array.short"))
        values = self._array[row]
        return Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values).convert("RGB")


def _row(sample: Sample) -> int:
    if not ROW.fullmatch(sample.source):
        raise UndecodableError(message("array.row", row=sample.source))
    return int(sample.source)
