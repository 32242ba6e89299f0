"""Parameter groups, learning rates and their schedules."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from nbtransfer.core.freeze import LayerPlan
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.strategy import Schedule
from nbtransfer.engine.model.transfer_model import HEAD, TransferModel
from nbtransfer.pretrained.layer_traits import decaying


def build_optimiser(model: TransferModel, recipe: Recipe) -> torch.optim.Optimizer:
    """An optimiser over every parameter, frozen or not.

    Each layer has its own group (two if only some of its parameters decay), so that a freeze plan can change at any step
    without adding or removing a group. The optimiser skips parameters without a gradient.
    """
    groups: list[dict[str, Any]] = []
    weights = {id(module.get_parameter(name)) for module in model.modules() for name in decaying(module)}
    for layer in [*(entry.name for entry in model.card.layers), HEAD]:
        for decays in (True, False):
            chosen = [p for p in model.parameters_of(layer) if (id(p) in weights) is decays]
            if chosen:
                decay = recipe.weight_decay if decays else 0.0
                groups.append({"params": chosen, "layer": layer, "weight_decay": decay})
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=0.9, nesterov=True)
    kind = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, lr=0.0, fused=True)


def set_rates(optimiser: torch.optim.Optimizer, lr: float, momentum: float, plan: Mapping[str, LayerPlan]) -> None:
    """Set the learning rate of every group to `lr` times its layer's multiplier, and the momentum."""
    for group in optimiser.param_groups:
        group["lr"] = lr if group["layer"] == HEAD else lr * plan[group["layer"]].lr
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        else:
            group["momentum"] = momentum


def rate(schedule: Schedule, done: float) -> tuple[float, float]:
    """Share of the peak learning rate, and momentum, after the share `done` of a phase's steps.

    one_cycle  up from 1/25 over the first 30 %, down to 1/250,000 along half a cosine; momentum moves against it between
               0.95 and 0.85 (Smith & Topin 2018, arXiv 1708.07120)
    cosine     up from 0 over the first 10 %, down to 0 along half a cosine (Loshchilov & Hutter 2017, arXiv 1608.03983)
    constant   1 throughout
    """
    if schedule == "constant":
        return 1.0, 0.9
    if schedule == "cosine":
        return (done / 0.1 if done < 0.1 else _half_cosine(1.0, 0.0, (done - 0.1) / 0.9)), 0.9
    if done < 0.3:
        return _half_cosine(1 / 25, 1.0, done / 0.3), _half_cosine(0.95, 0.85, done / 0.3)
    return _half_cosine(1.0, 4e-6, (done - 0.3) / 0.7), _half_cosine(0.85, 0.95, (done - 0.3) / 0.7)


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
