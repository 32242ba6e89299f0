"""Frozen means frozen: gradients, modes and proof."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import torch
from torch import nn

from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.freeze import LayerPlan


def training_modules(backbone: nn.Module, card: BackboneCard, plan: Mapping[str, LayerPlan]) -> frozenset[str]:
    """Names of the modules that may be in training mode under a plan.

    A layer is in training mode if it learns; a layer with running statistics, only if the plan updates them. A module
    without its own tensors follows the layers inside it; a leaf (dropout, stochastic depth) follows those around it, and
    one that is called between layers those of its stage.
    """
    active: set[str] = set()
    learning = {layer.stage for layer in card.layers if plan[layer.name].learns}
    between = {name: stage in learning for name, stage in card.leaves}
    keeping = {layer.name for layer in card.layers if layer.keeps_statistics}

    def visit(module: nn.Module, name: str, around: bool) -> None:
        inside = [entry.learns for layer, entry in plan.items() if not name or f"{layer}.".startswith(f"{name}.")]
        learns = any(inside) if inside else between.get(name, around)
        entry = plan.get(name)
        if learns if entry is None else (entry.updates if name in keeping else entry.learns):
            active.add(name)
        for key, child in module.named_children():
            visit(child, f"{name}.{key}" if name else key, learns)

    visit(backbone, "", False)
    return frozenset(active)


def digest(tensors: Iterable[torch.Tensor]) -> str:
    """sha256 of the tensors' bytes, in order."""
    state = hashlib.sha256()
    for tensor in tensors:
        state.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()
