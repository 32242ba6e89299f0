"""Frozen means frozen: gradients, modes and proof."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import torch
from torch import nn

from nbtransfer.core.freeze import LayerPlan


def training_modules(backbone: nn.Module, plan: Mapping[str, LayerPlan]) -> frozenset[str]:
    """Names of the modules that may be in training mode under a plan.

    A layer is in training mode if it learns; one that keeps statistics, only if they are to be updated. A module without
    tensors of its own goes with what learns inside it, or around it if it is a leaf (dropout, stochastic depth).
    """
    active: set[str] = set()

    def visit(module: nn.Module, name: str, around: bool) -> None:
        inside = [entry.learns for layer, entry in plan.items() if not name or f"{layer}.".startswith(f"{name}.")]
        learns = any(inside) if inside else around
        if _trains(module, plan.get(name), learns):
            active.add(name)
        for key, child in module.named_children():
            visit(child, f"{name}.{key}" if name else key, learns)

    visit(backbone, "", False)
    return frozenset(active)


def _trains(module: nn.Module, own: LayerPlan | None, learns: bool) -> bool:
    if own is None:
        return learns
    return own.updates if getattr(module, "running_mean", None) is not None else own.learns


def digest(tensors: Iterable[torch.Tensor]) -> str:
    """sha256 over the bytes of tensors, in order."""
    state = hashlib.sha256()
    for tensor in tensors:
        state.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()
