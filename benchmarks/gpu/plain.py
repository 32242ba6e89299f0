"""A plain loop over the same images, as a careful user would write it for a GPU.

Autocast, channels-last, one fused optimiser, helpers that fill pinned memory, pixels copied as bytes and normalised on the
GPU; frozen layers in evaluation mode and without gradients.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import models

from benchmarks.gpu.scene import CLASSES, Scene, pictures

HEAD = {"shufflenet_v2_x0_5": "fc", "resnet50": "fc", "convnext_tiny": "classifier.2", "vit_b_16": "heads"}
LAST = {
    "shufflenet_v2_x0_5": ("conv5",),
    "resnet50": ("layer4",),
    "convnext_tiny": ("features.6", "features.7", "classifier.0"),
    "vit_b_16": ("encoder.layers.encoder_layer_11", "encoder.ln"),
}
"""The modules that our strategy "last_stage" lets learn, beside the head."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Decoded(Dataset[tuple[torch.Tensor, int]]):
    """Images that are decoded already: uint8 (3, side, side)."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray) -> None:
        self.pixels, self.labels = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        return self.pixels[number], int(self.labels[number])


def splits(count: int, side: int) -> tuple[Decoded, Decoded]:
    """As many training and validation images as a rated task has."""
    pixels, labels = pictures(count, side)
    first = count - count // 9
    return Decoded(pixels[:first], labels[:first]), Decoded(pixels[first:], labels[first:])


def network(backbone: str, what: str) -> tuple[nn.Module, list[nn.Module]]:
    """A network with a new head, and its modules that are frozen; `what` learns: "head", "last stage" or "all"."""
    net = models.get_model(backbone, num_classes=CLASSES)
    if what == "all":
        return net, []
    net.requires_grad_(requires_grad=False)
    learning = [net.get_submodule(name) for name in (HEAD[backbone], *(LAST[backbone] if what == "last stage" else ()))]
    for module in learning:
        module.requires_grad_()
    inside = {id(module) for each in learning for module in each.modules()}
    return net, [m for m in net.modules() if id(m) not in inside and not any(p.requires_grad for p in m.parameters())]


@dataclass
class PlainLoop:
    """Trains one network on the device of a scene."""

    scene: Scene
    backbone: str
    what: str
    precision: str
    batch: int
    helpers: int = 4

    def epoch_seconds(self, epochs: int = 2) -> float:
        """Seconds of the last epoch with its validation; the first ones prepare kernels and start helpers."""
        net, frozen = network(self.backbone, self.what)
        self.net, self.frozen = net.to(self.scene.device, memory_format=torch.channels_last), frozen
        mean, std = ((255 * torch.tensor(v, device=self.scene.device)).view(1, 3, 1, 1) for v in (MEAN, STD))
        self.mean, self.scale = mean, 1 / std
        learning = [p for p in net.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(learning, lr=1e-3, fused=True)
        train, val = self.loaders()
        for _ in range(epochs):
            began = time.perf_counter()
            self.learn(train)
            self.judge(val)
            seconds = time.perf_counter() - began
        return seconds

    def loaders(self) -> list[DataLoader[tuple[torch.Tensor, int]]]:
        sizes, workers = self.scene.sizes, self.helpers if self.scene.gpu else 0
        return [
            DataLoader(
                images, self.batch, shuffle=number == 0, num_workers=workers, pin_memory=self.scene.gpu,
                persistent_workers=workers > 0,
            )
            for number, images in enumerate(splits(sizes.rated, sizes.rated_side))
        ]  # fmt: skip

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        x = pixels.to(self.scene.device, non_blocking=True).to(torch.float32, memory_format=torch.channels_last)
        with torch.autocast(self.scene.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            return self.net(x.sub_(self.mean).mul_(self.scale)).float()

    def learn(self, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
        self.net.train()
        for module in self.frozen:
            module.training = False
        for pixels, labels in batches:
            loss = F.cross_entropy(self.logits(pixels), labels.to(self.scene.device, non_blocking=True))
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()

    @torch.no_grad()
    def judge(self, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> float:
        self.net.eval()
        right = torch.zeros((), device=self.scene.device)
        for pixels, labels in batches:
            right += (self.logits(pixels).argmax(1) == labels.to(self.scene.device, non_blocking=True)).sum()
        return right.item()
