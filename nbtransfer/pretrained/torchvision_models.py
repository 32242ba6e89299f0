"""The classification models of torchvision: how to build them, and where their weights are."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision import models

from nbtransfer.core.backbone import InputSpec, WeightsCard
from nbtransfer.pretrained import weights as weight_files

ORIGIN = "torchvision"
# Positions are learned for one grid of patches, or windows divide one size only.
FIXED_SIZE = {"vision_transformer": "image_size", "maxvit": "input_size"}
INCEPTIONS = ("googlenet", "inception")


def names() -> list[str]:
    """All classification models."""
    return models.list_models(module=models)


def family(name: str) -> str:
    """The module of torchvision.models a model comes from."""
    return models.get_model_builder(name).__module__.rsplit(".", 1)[-1]


def build(name: str, size: int) -> nn.Module:
    """The model with random weights, for images of `size` pixels if that matters."""
    options = size_options(name, size)
    if family(name) in INCEPTIONS:
        # Their initialisation takes half a minute; the published files include the auxiliary classifiers.
        options |= {"init_weights": False, "aux_logits": True, "transform_input": False}
    return models.get_model(name, weights=None, **options)


def size_options(name: str, size: int) -> dict[str, Any]:
    """How the builder of a model is told the size of the images, if that matters."""
    of = family(name)
    return {FIXED_SIZE[of]: (size, size) if of == "maxvit" else size} if of in FIXED_SIZE else {}


def weights_path(name: str, card: WeightsCard) -> Path:
    """The verified weights file in torch's cache, downloaded on first use."""
    entry = models.get_model_weights(name)[card.name]

    def download(target: Path) -> None:
        torch.hub.download_url_to_file(entry.url, str(target), hash_prefix=card.digest, progress=False)

    return weight_files.fetch(card, Path(torch.hub.get_dir()) / "checkpoints", download)


def weights_cards(name: str) -> tuple[WeightsCard, ...]:
    """All published weights of a model, the default first."""
    entries: Any = models.get_model_weights(name)
    default = entries.DEFAULT
    return tuple(_card(entry) for entry in [default, *(e for e in entries if e is not default)])


def _card(entry: Any) -> WeightsCard:
    file = entry.url.rsplit("/", 1)[-1]
    digest = re.search(r"-([0-9a-f]{8,})\.", file)
    top1 = entry.meta["_metrics"].get("ImageNet-1K", {}).get("acc@1")
    swag = "SWAG" in entry.name
    return WeightsCard(
        name=entry.name,
        file=file,
        digest=digest.group(1) if digest else "",
        size=round(entry.meta["_file_size"] * 2**20),
        licence="CC-BY-NC-4.0" if swag else "BSD-3-Clause",
        input=input_spec(entry.transforms()),
        source="Instagram hashtags (SWAG), then ImageNet-1k" if swag else "ImageNet-1k",
        categories=len(entry.meta["categories"] or ()),
        top1=None if top1 is None or math.isnan(top1) else top1,
    )


def input_spec(preset: Any) -> InputSpec:
    """torchvision's own preprocessing preset as plain data."""
    return InputSpec(
        size=preset.crop_size[0],
        resize=preset.resize_size[0],
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


def min_size(name: str) -> int:
    """The smallest image the architecture accepts."""
    return max(models.get_model_weights(name).DEFAULT.meta["min_size"])
