"""Task-specific layers that a user's own code makes."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from nbtransfer.core.code import Code
from nbtransfer.engine.seeding import seeded
from nbtransfer.errors import CodeError
from nbtransfer.usercode.module import attribute, call


def make_head(reference: str, codes: Iterable[Code], features: int, classes: int, seed: int) -> nn.Module:
    """Layers from features (N, features) to logits (N, classes), drawn with a seed; raises CodeError when they are not."""
    make = attribute(reference, codes)
    with seeded(seed):
        made = call(reference, make, features, classes)
        if not isinstance(made, nn.Module):
            raise CodeError(f"{reference} makes {type(made).__name__}; let it make a torch.nn.Module")
        training = made.training
        with torch.no_grad():
            found = call(reference, made.eval(), torch.zeros(2, features))
    shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
    if shape != (2, classes):
        raise CodeError(f"{reference} makes {shape} of features (2, {features}); let it make logits (2, {classes})")
    return made.train(training)
