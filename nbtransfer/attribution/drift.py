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
    """The output of each stage for normalised images, in forward order, and last the features (N, width).

    `backbone` must be a private copy: where its stages cannot be run one by one, hooks capture their outputs.
    """
    with torch.no_grad():
        if isinstance(backbone, WholeBackbone):
            return _whole_activations(backbone, images)
        outputs = {}
        for number, stage in enumerate(backbone.stages):
            images = outputs[stage] = backbone.run(images, number, number + 1)
        return {**outputs, FEATURES: backbone.pool(images)}


def _whole_activations(backbone: WholeBackbone, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """The output of a stage is that of its layer called last."""
    captured: dict[str, torch.Tensor] = {}

    def capture_hook(stage: str) -> Any:
        def capture(_module: Any, _inputs: Any, result: Any) -> None:
            if isinstance(result, torch.Tensor):
                captured[stage] = result.clone()  # a later in-place operation must not change it

        return capture

    hooks = [
        backbone.get_submodule(name).register_forward_hook(capture_hook(stage)) for name, stage in _within_one_stage(backbone)
    ]
    try:
        features = backbone(images)
    finally:
        for hook in hooks:
            hook.remove()
    return {**{stage: captured[stage] for stage in backbone.stages if stage in captured}, FEATURES: features}


def _within_one_stage(backbone: WholeBackbone) -> Iterator[tuple[str, str]]:
    """Layers and their stages, without layers that contain layers of another stage: their output belongs to that stage."""
    layers = {layer.name: layer.stage for layer in backbone.layers()}
    for name, stage in layers.items():
        if all(other == stage for inner, other in layers.items() if inner.startswith(f"{name}.")):
            yield name, stage


def drift(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> tuple[Drift, ...]:
    """One Drift per stage, from the activations of one image in two models."""
    return tuple(_stage_drift(stage, before[stage], after[stage]) for stage in before)


def _stage_drift(stage: str, a: torch.Tensor, b: torch.Tensor) -> Drift:
    if torch.equal(a, b):
        return Drift(stage, 0.0, True)
    cosine = F.cosine_similarity(a.flatten().double(), b.flatten().double(), dim=0)
    return Drift(stage, max(0.0, 1 - float(cosine)), False)
