"""The stored question of an export, and the model's answer to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from nbtransfer.core.backbone import InputSpec
from nbtransfer.engine.data.preprocess import Normalise, resize_and_crop
from nbtransfer.engine.model.transfer_model import TransferModel

FILE = "example.png"
TOLERANCE = 1e-3
"""Largest difference of logits between machines: other kernels sum in another order."""
COARSE = (6, 8, 3)


@dataclass(frozen=True)
class StoredExample:
    """An image, its pixels as uint8 (3, H, W), and the logits (classes,) of the model for it."""

    image: Image.Image
    pixels: torch.Tensor
    logits: torch.Tensor

    def facts(self) -> dict[str, Any]:
        """What model.json says about it."""
        return {"image": FILE, "logits": self.logits.tolist(), "probabilities": self.logits.softmax(0).tolist()}


def store_example(model: TransferModel) -> StoredExample:
    """An example for this model."""
    image = example_image(model.spec)
    pixels = resize_and_crop(image, model.spec)
    return StoredExample(image, pixels, logits_of(model, pixels))


def example_image(spec: InputSpec) -> Image.Image:
    """Smooth random colours, larger than the input and of another ratio, so that all of the preprocessing counts.

    It is synthetic: an export needs no image of the task, and publishes none.
    """
    height, width = spec.resized
    colours = np.random.default_rng(0).integers(0, 256, COARSE, dtype=np.uint8)
    return Image.fromarray(colours).resize((round(1.5 * width), round(1.2 * height)), Image.Resampling.BICUBIC)


@torch.no_grad()
def logits_of(model: TransferModel, pixels: torch.Tensor) -> torch.Tensor:
    """Logits (classes,) for the pixels of one image, uint8 (3, H, W)."""
    device = next(model.parameters()).device
    return model(Normalise(model.spec, device)(pixels[None]))[0].cpu()  # type: ignore[no-any-return]
