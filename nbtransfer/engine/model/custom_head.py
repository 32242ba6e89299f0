"""Task-specific layers head by custom code."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from nbtransfer.core.code import Code
from nbtransfer.engine.seeding import fixed_seed
from nbtransfer.errors import CodeError
from nbtransfer.usercode.module import attribute, call


def make_head(reference: str, codes: Iterable[Code], features: int, classes: int, seed: int) -> nn.Module:
    """Layers from features (N, features) to logits (N, classes), drawn with a seed; raises CodeError for anything else."""
    make = attribute(reference, codes)
    with fixed_seed(seed):
        head = call(reference, make, features, classes)
        if not isinstance(head, nn.Module):
            raise CodeError(f"{reference} makes {type(head).__name__}; let it make a torch.nn.Module")
        training = head.training
        with torch.no_grad():
            logits = call(reference, head.eval(), torch.zeros(2, features))
    shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if shape != (2, classes):
        raise CodeError(f"{reference} makes {shape} of features (2, {features}); let it make logits (2, {classes})")
    return head.train(training)
