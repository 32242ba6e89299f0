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
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import of_classes, short_list
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
        shape = f"{quantity(count, 'image')} but labels of shape {labels.shape}"
        raise TaskError(f"there {'is' if count == 1 else 'are'} {shape}; {_as_column(y, labels.shape)}")
    if labels.dtype.kind not in "iuU":
        raise TaskError(f"labels should be whole numbers or names, not {labels.dtype}{_as_numbers(y, labels)}")
    if labels.dtype.kind == "U" or classes is None:
        found, numbers = np.unique(labels, return_inverse=True)
        names = tuple(map(str, found))
        return (numbers.tolist(), names) if classes is None else _in_order(numbers.tolist(), names, tuple(map(str, classes)))
    if labels.min() < 0 or labels.max() >= len(classes):
        number = f"there {'is' if len(classes) == 1 else 'are'} {quantity(len(classes), 'class', 'classes')}"
        raise TaskError(f"labels run from {labels.min()} to {labels.max()}, but {number}")
    return labels.tolist(), tuple(map(str, classes))


def _in_order(numbers: list[int], names: tuple[str, ...], given: tuple[str, ...]) -> tuple[list[int], tuple[str, ...]]:
    """The labels for the order of names that is given. Raises TaskError if the names are others."""
    if sorted(given) != sorted(names):
        raise TaskError(f"the labels name the classes {short_list(names)}, but classes= says {short_list(given)}")
    return [given.index(names[number]) for number in numbers], given


def _as_column(y: Any, shape: tuple[int, ...]) -> str:
    """How labels in a table become one for each image."""
    if len(shape) != 2:
        return "give one label per image"
    if hasattr(y, "columns") and hasattr(y, "iloc"):
        return f"give the column of labels, such as y[{next(iter(y.columns), 'label')!r}]"
    if shape[1] == 1:
        return "give one label per image, such as y[:, 0]" if hasattr(y, "shape") else "give one label per image"
    return f"if they are one-hot, give {'y.argmax(1)' if hasattr(y, 'argmax') else 'np.argmax(y, axis=1)'}"


def _as_numbers(y: Any, labels: np.ndarray[Any, Any]) -> str:
    """How truth values, or floats without fractions, become whole numbers."""
    if labels.dtype.kind != "b" and not (labels.dtype.kind == "f" and np.array_equal(labels, np.round(labels))):
        return ""
    if hasattr(y, "detach"):
        return "; give y.long()"
    return "; give y.astype(int)" if hasattr(y, "astype") else "; give [int(label) for label in y]"


def _label_array(y: Any) -> np.ndarray[Any, Any]:
    """The labels as an array of numbers or text, also where a table or a list holds them as objects. Raises TaskError."""
    try:
        labels = np.asarray(y.detach().cpu() if hasattr(y, "detach") else y)
    except (ValueError, TypeError) as error:  # rows of different lengths
        raise TaskError(f"labels cannot be read as an array ({error}); give one label per image") from error
    if labels.dtype.kind != "O":
        return labels
    values = [plain(value) for value in labels.ravel().tolist()]
    for row, value in enumerate(values):
        if not isinstance(value, (str, int)) or isinstance(value, bool) or isinstance(value, str) != isinstance(values[0], str):
            advice = _as_numbers(y, np.asarray(values)) if all(isinstance(each, (bool, float)) for each in values) else ""
            raise TaskError(
                f"the label of image {row} is {value!r}; labels should be whole numbers or names, all of one kind{advice}"
            )
    return np.asarray(values).reshape(labels.shape)


def check_counts(labels: Sequence[int], classes: Sequence[str]) -> None:
    """Every class needs one example to train on and one to validate on."""
    few = [name for number, name in enumerate(classes) if labels.count(number) < 2]
    if few:
        raise TaskError(f"too few images of {of_classes(few)}; each class needs at least 2")


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
