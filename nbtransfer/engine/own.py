"""Task-specific layers and changes of images that code of the user's own makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from PIL import Image
from torch import nn

from nbtransfer.core.code import Code
from nbtransfer.core.recipe import Recipe
from nbtransfer.engine.draws import seeded
from nbtransfer.errors import CodeError
from nbtransfer.tasks.datasets import pictured
from nbtransfer.tasks.decode import UndecodableError
from nbtransfer.tasks.source import ImageSource
from nbtransfer.usercode.module import attribute, called

Transform = Callable[[Image.Image], Image.Image]


def head(reference: str, codes: Iterable[Code], features: int, classes: int, seed: int) -> nn.Module:
    """Layers from features (N, features) to logits (N, classes), drawn with a seed; raises CodeError when they are not."""
    make = attribute(reference, codes)
    with seeded(seed):
        made = called(reference, make, features, classes)
        if not isinstance(made, nn.Module):
            raise CodeError(f"{reference} makes {type(made).__name__}; let it make a torch.nn.Module")
        training = made.training
        with torch.no_grad():
            found = called(reference, made.eval(), torch.zeros(2, features))
    shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
    if shape != (2, classes):
        raise CodeError(f"{reference} makes {shape} of features (2, {features}); let it make logits (2, {classes})")
    return made.train(training)


def transform(reference: str, codes: Iterable[Code]) -> Transform:
    """A change of images of the user's own; what it gives is checked each time. Raises CodeError."""
    function = attribute(reference, codes)
    return lambda image: pictured(reference, called(reference, function, image))


def try_transform(recipe: Recipe) -> None:
    """Change the first training image that can be decoded; raises CodeError when that fails."""
    assert recipe.transform is not None
    change, source = transform(recipe.transform, recipe.code), ImageSource(recipe.task)
    for sample in recipe.task.split("train"):
        try:
            image = source.image(sample)
        except UndecodableError:
            continue
        with seeded(recipe.seed):
            change(image)
        return
