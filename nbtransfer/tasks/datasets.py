"""Tasks from custom datasets: anything with a length that returns pairs of an image and a label."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from nbtransfer.core.code import Code
from nbtransfer.core.messages import message
from nbtransfer.errors import CodeError, InputError, TaskError
from nbtransfer.tasks import arrays, pixels
from nbtransfer.tasks.decode import UndecodableError, to_rgb
from nbtransfer.tasks.identity import DIGITS
from nbtransfer.tasks.near_copies import Array, signature
from nbtransfer.usercode.module import attribute, call

LABELS = ("targets", "labels")
"""Attributes that often hold all labels of a dataset; without them every example must be loaded for its label."""


class CustomDataset:
    """A dataset made by custom code."""

    def __init__(self, reference: str, code: Code, arguments: str) -> None:
        self.reference = reference
        self._data = call(reference, attribute(reference, [code]), **json.loads(arguments))

    def labels(self, classes: Sequence[str] | None) -> tuple[list[int], tuple[str, ...]]:
        """The label of each example as a number from 0, and the class names. Raises TaskError, or CodeError."""
        count = call(self.reference, len, self._data)
        found = next((getattr(self._data, name) for name in LABELS if hasattr(self._data, name)), None)
        if found is None:
            found = [self._pair(number)[1] for number in range(count)]
        if classes is None:
            classes = getattr(self._data, "classes", None)
        labels = np.asarray(found.detach().cpu() if hasattr(found, "detach") else found)
        return arrays.as_labels(labels, count, None if classes is None or labels.dtype.kind == "U" else [*map(str, classes)])

    def image(self, number: int, label: int, name: str) -> Image.Image:
        """One example as 8-bit RGB; raises UndecodableError if it fails, or its class has changed."""
        try:
            value, given = self._pair(number)
            image = as_image(self.reference, value)
        except CodeError as error:
            raise UndecodableError(str(error)) from error
        given = given.item() if hasattr(given, "item") else given
        if given != label and str(given) != name:
            raise UndecodableError(message("image.relabelled", dataset=self.reference, now=repr(given), then=name))
        return image

    def look(self, labels: Sequence[int], classes: Sequence[str]) -> tuple[list[str], list[Array | None]]:
        """A digest and the signature of each example; one that fails is a copy of none, and a run will leave it out."""
        digests, signatures = list[str](), list[Array | None]()
        for number, label in enumerate(labels):
            try:
                image = self.image(number, label, classes[label])
            except UndecodableError:
                digests.append(f"example {number}")
                signatures.append(None)
                continue
            digests.append(hashlib.sha256(f"{image.size}".encode() + image.tobytes()).hexdigest()[:DIGITS])
            signatures.append(signature(image))
        return digests, signatures

    def _pair(self, number: int) -> tuple[Any, Any]:
        found = call(self.reference, self._data.__getitem__, number)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise CodeError(f"{self.reference} returns {type(found).__name__} for example {number}; return (image, label)")
        return found[0], found[1]


def arguments_json(arguments: Mapping[str, Any] | None) -> str:
    """The arguments of a dataset as JSON; raises TaskError."""
    try:
        return json.dumps(dict(arguments or {}), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TaskError(
            f"the arguments of a dataset must be plain data (text, numbers, lists), so that they can be stored: {error}"
        ) from error


def as_image(reference: str, value: Any) -> Image.Image:
    """An image returned by custom code, as 8-bit RGB; raises CodeError that says what is expected."""
    if isinstance(value, Image.Image):
        return to_rgb(value)
    try:
        found = list(pixels.separate(pixels.as_array(value))) if pixels.is_array(value) else []
    except InputError as error:
        raise CodeError(f"{reference} returns an array that is not an image: {error}") from error
    if len(found) != 1:
        raise CodeError(f"{reference} returns {type(value).__name__}; return a PIL image, or one array such as uint8 (H, W, 3)")
    return pixels.picture(found[0])
