"""Ask a trained model about images of one's own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from nbtransfer.engine.model import TransferModel
from nbtransfer.engine.preprocess import Normalise, shape
from nbtransfer.errors import InputError
from nbtransfer.tasks.decode import UndecodableError, load_rgb, to_rgb


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says about one image: the likeliest class, and the probability of each."""

    label: str
    probability: float
    probabilities: dict[str, float]

    def __repr__(self) -> str:
        return f"Answer({self.label!r}, {self.probability:.3f})"


@torch.no_grad()
def predict(model: TransferModel, images: Any, batch_size: int = 32) -> list[Answer]:
    """Answers for one image or many: paths, PIL images, or uint8 arrays (H, W, 3). Raises InputError naming a bad one.

    Computed in fp32 on the device the model is on.
    """
    given = each(images)
    device = next(model.parameters()).device
    normalise, answers = Normalise(model.spec, device), list[Answer]()
    for start in range(0, len(given), batch_size):
        pixels = torch.stack([shape(opened(image), model.spec) for image in given[start : start + batch_size]])
        probabilities = model(normalise(pixels)).softmax(1).cpu()
        answers += [_answer(row, model.classes) for row in probabilities.tolist()]
    return answers


def each(images: Any) -> list[Any]:
    """What was given, one image or many, as a list."""
    return [images] if isinstance(images, (str, os.PathLike, Image.Image)) or _is_single(images) else list(images)


def opened(image: Any) -> Image.Image:
    """Any of the accepted forms as an RGB image."""
    if isinstance(image, Image.Image):
        return _prepared(image)
    if isinstance(image, (str, os.PathLike)):
        try:
            return load_rgb(Path(image))
        except UndecodableError as error:
            raise InputError(f"{os.fspath(image)} cannot be used: {error}") from error
    values = np.asarray(image)
    if values.dtype != np.uint8 or values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[-1] != 3):
        raise InputError(
            f"an image should be a path, a PIL image or a uint8 array (H, W, 3), not {values.dtype} {values.shape}"
        )
    return Image.fromarray(values).convert("RGB")


def _prepared(image: Image.Image) -> Image.Image:
    try:
        return to_rgb(image)
    except UndecodableError as error:
        raise InputError(f"the image cannot be used: {error}") from error


def _is_single(images: Any) -> bool:
    return isinstance(images, np.ndarray) and (images.ndim == 2 or (images.ndim == 3 and images.shape[-1] == 3))


def _answer(row: Sequence[float], classes: Iterable[str]) -> Answer:
    probabilities = dict(zip(classes, row, strict=True))
    label = max(probabilities, key=probabilities.__getitem__)
    return Answer(label, probabilities[label], probabilities)
