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


@torch.no_grad()
def try_head(reference: str, codes: Iterable[Code], features: int, classes: int, seed: int) -> None:
    """Raise CodeError unless the parameters and buffers that would be stored are all that a trained head depends on."""
    codes = tuple(codes)
    with fixed_seed(seed):
        x = torch.rand(8, features)
    head, fresh = (make_head(reference, codes, features, classes, number) for number in (seed, seed + 1))
    with fixed_seed(seed):
        call(reference, head.train(), x)  # may change buffers
        answers = call(reference, head.eval(), x), call(reference, head, x)
    if not torch.equal(*answers):
        raise CodeError(f"{reference} answers the same features differently each time; let it draw nothing in evaluation mode")
    try:
        fresh.load_state_dict(head.state_dict())
    except RuntimeError as error:
        raise CodeError(f"{reference} makes other layers each time ({str(error).splitlines()[-1].strip()})") from error
    if not torch.equal(call(reference, fresh.eval(), x), answers[0]):
        raise CodeError(
            f"{reference} depends on values that are not stored with it; make them parameters, or buffers with "
            "register_buffer(name, tensor)"
        )
