"""The tensors of a layer: of a module without those inside it, or one tensor of the model itself."""

from __future__ import annotations

import itertools

import torch
from torch import nn


def layer_tensors(net: nn.Module, layer: str) -> dict[str, torch.Tensor]:
    """A layer's own parameters and buffers by their names in the model: a module's, or one tensor of the model itself."""
    parent, _, own = layer.rpartition(".")
    try:
        module = net.get_submodule(layer)
    except AttributeError:
        return {layer: getattr(net.get_submodule(parent), own)}
    tensors = itertools.chain(module.named_parameters(recurse=False), module.named_buffers(recurse=False))
    return {f"{layer}.{name}": tensor for name, tensor in tensors}


def own_tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    """A module's own parameters and buffers, without constants that are not stored."""
    stored = module.state_dict(keep_vars=True)
    own = itertools.chain(module.named_parameters(recurse=False), module.named_buffers(recurse=False))
    return {name: tensor for name, tensor in own if name in stored}
