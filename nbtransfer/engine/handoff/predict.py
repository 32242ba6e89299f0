"""Predictions of a trained model for new images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nbtransfer.engine.data.open_images import as_list
from nbtransfer.engine.model.transfer_model import TransferModel


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for one image: the likeliest class, and the probability of each class."""

    label: str
    probability: float
    probabilities: dict[str, float]

    def __repr__(self) -> str:
        return f"Answer({self.label!r}, {self.probability:.3f})"


@torch.no_grad()
def predict(model: TransferModel, images: Any, batch_size: int = 32) -> list[Answer]:
    """Answers for one image or many: paths, PIL images, or uint8 arrays (H, W, 3). Raises InputError for a bad one.

    Computed in fp32 on the device the model is on.
    """
    inputs, answers = as_list(images), list[Answer]()
    for start in range(0, len(inputs), batch_size):
        probabilities = model(model.preprocess(inputs[start : start + batch_size])).softmax(1).cpu()
        answers += [_answer(row, model.classes) for row in probabilities.tolist()]
    return answers


def _answer(row: Sequence[float], classes: Iterable[str]) -> Answer:
    probabilities = dict(zip(classes, row, strict=True))
    label = max(probabilities, key=probabilities.__getitem__)
    return Answer(label, probabilities[label], probabilities)
