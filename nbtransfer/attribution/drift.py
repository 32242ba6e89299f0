"""How far each stage's activations have moved between two models, and whether they are the same bit for bit."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from nbtransfer.attribution.findings import Drift
from nbtransfer.pretrained.backbone import Backbone

FEATURES = "features"


def activations(backbone: Backbone, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """The output of each stage for normalised images, in forward order, and last the features (N, width)."""
    with torch.no_grad():
        outputs = {}
        for number, stage in enumerate(backbone.stages):
            images = outputs[stage] = backbone.run(images, number, number + 1)
        return {**outputs, FEATURES: backbone.pool(images)}


def drift(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> tuple[Drift, ...]:
    """One Drift per stage, from the activations of one image in two models."""
    return tuple(_stage_drift(stage, before[stage], after[stage]) for stage in before)


def _stage_drift(stage: str, a: torch.Tensor, b: torch.Tensor) -> Drift:
    if torch.equal(a, b):
        return Drift(stage, 0.0, True)
    cosine = F.cosine_similarity(a.flatten().double(), b.flatten().double(), dim=0)
    return Drift(stage, max(0.0, 1 - float(cosine)), False)
