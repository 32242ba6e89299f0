"""What a proof does to a model, and takes back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


def gradients(net: nn.Module, output: torch.Tensor, weights: torch.Tensor) -> dict[str, torch.Tensor]:
    """The gradients of the weighted sum of an output, for the parameters that it depends on."""
    names, parameters = zip(*net.named_parameters(), strict=True)
    # Some models keep tensors with their graph from one pass to the next.
    found = torch.autograd.grad(output, parameters, weights, allow_unused=True, retain_graph=True)
    return {name: gradient for name, gradient in zip(names, found, strict=True) if gradient is not None}


@contextmanager
def filled_with_nan(tensors: Iterable[torch.Tensor]) -> Iterator[None]:
    """NaN in tensors of floating-point numbers; afterwards they are as before."""
    kept = [(tensor, tensor.detach().clone()) for tensor in tensors if tensor.is_floating_point()]
    with torch.no_grad():
        for tensor, _ in kept:
            tensor.fill_(torch.nan)
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, values in kept:
                tensor.copy_(values)


@contextmanager
def learning(net: nn.Module) -> Iterator[None]:
    """Every parameter takes part in gradients; afterwards as before."""
    before = [(parameter, parameter.requires_grad) for parameter in net.parameters()]
    net.requires_grad_(True)
    try:
        yield
    finally:
        for parameter, learns in before:
            parameter.requires_grad_(learns)


@torch.no_grad()
def without_zeros(net: nn.Module) -> nn.Module:
    """The model with random values where all are zero: a part that begins as zero would hide what depends on it."""
    for parameter in net.parameters():
        if not parameter.any():
            parameter.normal_(std=0.02)
    return net
