"""Tasks from arrays in memory: checked, then written once to a file that workers map.

The file name is a digest of its contents, so the same task costs nothing the second time and a changed array is a new file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nbtransfer.core.scalars import plain
from nbtransfer.core.text.names import short_list
from nbtransfer.errors import TaskError
from nbtransfer.store import atomic
from nbtransfer.store.home import home, private_folder
from nbtransfer.tasks.identity import DIGITS


def as_labels(y: Any, count: int, classes: Sequence[str] | None) -> tuple[list[int], tuple[str, ...]]:
    """Labels as numbers from 0, and the class names. `y` holds whole numbers or names."""
    labels = _label_array(y)
    if count == 0:
        raise TaskError("there are no images; give at least two of each class")
    if labels.shape != (count,):
        raise TaskError(f"there are {count} images but labels of shape {labels.shape}; give one label per image")
    if labels.dtype.kind not in "iuU":
        raise TaskError(f"labels should be whole numbers or names, not {labels.dtype}")
    if labels.dtype.kind == "U" or classes is None:
        found, numbers = np.unique(labels, return_inverse=True)
        names = tuple(map(str, found))
        if classes is not None and tuple(map(str, classes)) != names:
            given = short_list([*map(str, classes)])
            raise TaskError(f"the labels name the classes {short_list(names)}, but classes= says {given}")
        return numbers.tolist(), names
    if labels.min() < 0 or labels.max() >= len(classes):
        raise TaskError(f"labels run from {labels.min()} to {labels.max()}, but there are {len(classes)} classes")
    return labels.tolist(), tuple(map(str, classes))


def _label_array(y: Any) -> np.ndarray[Any, Any]:
    """The labels as an array of numbers or text, also where a table or a list holds them as objects. Raises TaskError."""
    try:
        labels = np.asarray(y.detach().cpu() if hasattr(y, "detach") else y)
    except (ValueError, TypeError) as error:  # rows of different lengths
        raise TaskError(f"labels make no array ({error}); give one label per image") from error
    if labels.dtype.kind != "O":
        return labels
    values = [plain(value) for value in labels.ravel().tolist()]
    for row, value in enumerate(values):
        if not isinstance(value, (str, int)) or isinstance(value, bool) or isinstance(value, str) != isinstance(values[0], str):
            raise TaskError(f"the label of image {row} is {value!r}; labels should be whole numbers or names, all of one kind")
    return np.asarray(values).reshape(labels.shape)


def check_counts(labels: Sequence[int], classes: Sequence[str]) -> None:
    """Every class needs one example to train on and one to validate on."""
    few = [name for number, name in enumerate(classes) if labels.count(number) < 2]
    if few:
        raise TaskError(f"too few images of class {short_list(few)}; each class needs at least 2")


def check_copies(labels: Sequence[int], classes: Sequence[str], copies: Sequence[str]) -> None:
    """The same image cannot belong to two classes."""
    first: dict[str, int] = {}
    for row, copy in enumerate(copies):
        other = first.setdefault(copy, row)
        if labels[other] != labels[row]:
            names = f"{classes[labels[other]]!r} and {classes[labels[row]]!r}"
            raise TaskError(f"rows {other} and {row} hold the same image, labelled {names}; keep the right one")


def copies(images: np.ndarray[Any, Any]) -> list[str]:
    """A digest of each image; exact copies share it."""
    shape = hashlib.sha256(f"{images.dtype}{images.shape[1:]}".encode())
    states = [shape.copy() for _ in images]
    for state, image in zip(states, images, strict=True):
        state.update(image.data)
    return [state.hexdigest()[:DIGITS] for state in states]


def digest_of(images: np.ndarray[Any, Any]) -> str:
    """A digest of all images, which is the name of their file."""
    state = hashlib.sha256(f"{images.dtype}{images.shape}".encode())
    state.update(np.ascontiguousarray(images).data)
    return state.hexdigest()[:DIGITS]


def keep(images: np.ndarray[Any, Any]) -> Path:
    """Write the images to a file for workers; returns its path."""
    path = private_folder(home() / "arrays") / f"{digest_of(images)}.npy"
    if not path.exists():
        temporary = atomic.temporary_beside(path)
        with temporary.open("wb") as stream:
            np.save(stream, images, allow_pickle=False)
        atomic.publish(temporary, path)
    return path
