"""Predictions of a trained model for new images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nbtransfer.core.calls import checked
from nbtransfer.engine.data.open_images import as_list, open_image
from nbtransfer.engine.data.preprocess import Normalise, resize_and_crop
from nbtransfer.engine.model.transfer_model import TransferModel


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for one image: the likeliest class, and the probability of each class."""

    label: str
    probability: float
    probabilities: dict[str, float]

    def __repr__(self) -> str:
        return f"Answer({self.label!r}, {self.probability:.3f})"


@checked()
@torch.no_grad()
def predict(model: TransferModel, images: Any, batch_size: int = 32) -> list[Answer]:
    """Answers for one image or many: paths, PIL images, or uint8 arrays (H, W, 3). Raises InputError for a bad one.

    Computed in fp32 on the device the model is on.
    """
    inputs = as_list(images)
    device = next(model.parameters()).device
    normalise, answers = Normalise(model.spec, device), list[Answer]()
    for start in range(0, len(inputs), batch_size):
        pixels = torch.stack([resize_and_crop(open_image(image), model.spec) for image in inputs[start : start + batch_size]])
        probabilities = model(normalise(pixels)).softmax(1).cpu()
        answers += [_answer(row, model.classes) for row in probabilities.tolist()]
    return answers


def _answer(row: Sequence[float], classes: Iterable[str]) -> Answer:
    probabilities = dict(zip(classes, row, strict=True))
    label = max(probabilities, key=probabilities.__getitem__)
    return Answer(label, probabilities[label], probabilities)
