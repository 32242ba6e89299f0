"""Features of images, without images."""

from __future__ import annotations

import torch


def clusters(count, views, width, classes, seed=0):
    """Features (N, V, D) around a centre for each class, and labels (N,)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    centres = torch.randn(classes, width, generator=generator, dtype=torch.double)
    features = centres[labels][:, None] + torch.randn(count, views, width, generator=generator, dtype=torch.double)
    return features, labels
