"""Predictions of a trained model for new images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch

from nbtransfer.core.calls import checked
from nbtransfer.core.scalars import plain
from nbtransfer.core.task import TaskCard
from nbtransfer.engine.data.preprocess import Normalise, resize_and_crop
from nbtransfer.engine.handoff.answers import Answer, Answers, require_any
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.errors import InputError
from nbtransfer.tasks.inputs import GivenImage, InputReader

__all__ = ["Answer", "Answers", "predict"]


@checked()
@torch.no_grad()
def predict(model: TransferModel, images: Any, batch_size: int = 32, *, task: TaskCard | None = None) -> Answers:
    """Answers for one image or many, as a list that shows as a table.

    images       paths of files or folders, PIL images, bytes or open files, arrays or tensors, and lists, columns or
                 generators of these. Arrays are (H, W), (H, W, C) or (C, H, W), or several as (N, H, W, C) or
                 (N, C, H, W), with C = 1, 3 or 4: uint8, bool, uint16 or floats in 0…1. What can be read in two ways is refused
    batch_size   images computed at a time; only these are in memory
    task         the task of images that are samples

    An image that cannot be used has an answer with its `problem`; raises InputError if there is no other. Computed in fp32
    and in evaluation mode, on the device the model is on.
    """
    count = plain(batch_size)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise InputError(f"batch_size is {batch_size!r}; use a whole number from 1 up")
    normalise, answers = Normalise(model.spec, next(model.parameters()).device), Answers()
    given = InputReader(task, model.reading).images(images)
    with _evaluating(model):
        while batch := list(islice(given, count)):
            answers += _batch_answers(model, normalise, batch)
    require_any(answers)
    return answers


@contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    """In training mode an answer depends on the batch, and changes the model. Each module has its own mode back at the end."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _batch_answers(model: TransferModel, normalise: Normalise, batch: Sequence[GivenImage]) -> Iterator[Answer]:
    prepared = [_pixels(image, model) for image in batch]
    usable = [found for found in prepared if isinstance(found, torch.Tensor)]
    rows = iter(model(normalise(torch.stack(usable))).softmax(1).tolist() if usable else ())
    for image, found in zip(batch, prepared, strict=True):
        if isinstance(found, torch.Tensor):
            yield _answer(image, next(rows), model.classes)
        else:
            yield Answer(None, None, {}, image.name, image.truth, found)


def _pixels(image: GivenImage, model: TransferModel) -> torch.Tensor | str:
    """The image as the model sees it, or why it cannot be used."""
    try:
        return resize_and_crop(image.rgb(), model.spec)
    except InputError as error:
        return str(error)


def _answer(image: GivenImage, row: Sequence[float], classes: Iterable[str]) -> Answer:
    probabilities = dict(zip(classes, row, strict=True))
    label = max(probabilities, key=probabilities.__getitem__)
    return Answer(label, probabilities[label], probabilities, image.name, image.truth)
