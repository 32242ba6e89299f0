"""How far each stage's activations have moved between two models, and whether they are the same bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn import functional as F

from nbtransfer.attribution.findings import Drift
from nbtransfer.pretrained.backbone import Backbone, WholeBackbone

FEATURES = "features"


def activations(backbone: Backbone, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """What each stage gives for normalised images, in forward order, and last the features (N, width).

    `backbone` must be a private copy: where stages cannot be run one by one, they are listened to with hooks.
    """
    with torch.no_grad():
        if isinstance(backbone, WholeBackbone):
            return _listened(backbone, images)
        found = {}
        for number, stage in enumerate(backbone.stages):
            images = found[stage] = backbone.run(images, number, number + 1)
        return {**found, FEATURES: backbone.pool(images)}


def _listened(backbone: WholeBackbone, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """The last layer of each stage that is called speaks for its stage."""
    heard: dict[str, torch.Tensor] = {}

    def listener(stage: str) -> Any:
        def hear(_module: Any, _given: Any, result: Any) -> None:
            if isinstance(result, torch.Tensor):
                heard[stage] = result.clone()  # a later operation in place must not change it

        return hear

    hooks = [backbone.get_submodule(name).register_forward_hook(listener(stage)) for name, stage in _within_one_stage(backbone)]
    try:
        features = backbone(images)
    finally:
        for hook in hooks:
            hook.remove()
    return {**{stage: heard[stage] for stage in backbone.stages if stage in heard}, FEATURES: features}


def _within_one_stage(backbone: WholeBackbone) -> Iterator[tuple[str, str]]:
    """Layers and their stages, without those that have layers of a later stage inside: what they give is that stage's."""
    layers = {layer.name: layer.stage for layer in backbone.layers()}
    for name, stage in layers.items():
        if all(other == stage for inner, other in layers.items() if inner.startswith(f"{name}.")):
            yield name, stage


def drift(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> tuple[Drift, ...]:
    """One Drift for each stage, of the activations of one image under two models."""
    return tuple(_moved(stage, before[stage], after[stage]) for stage in before)


def _moved(stage: str, a: torch.Tensor, b: torch.Tensor) -> Drift:
    if torch.equal(a, b):
        return Drift(stage, 0.0, True)
    cosine = F.cosine_similarity(a.flatten().double(), b.flatten().double(), dim=0)
    return Drift(stage, max(0.0, 1 - float(cosine)), False)
