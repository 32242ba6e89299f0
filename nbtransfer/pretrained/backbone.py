"""Shared layers as a module: images in, features out, stages in forward order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import nn

from nbtransfer.core.backbone import LayerCard
from nbtransfer.pretrained.layer_traits import Normalisation, NormalisationFinder, decaying


class Backbone(nn.Module):
    """Shared layers, cut into stages that run one after the other.

    Each stage is a child module of that name, so a layer is called `<stage>.<name in the original model>`. The output of
    the last stage is pooled to features of shape (N, width).
    """

    divisible = True
    """Whether it can be entered and left between its stages."""

    def __init__(self, stages: Mapping[str, nn.Module], pool: nn.Module) -> None:
        super().__init__()
        self.stages = tuple(stages)
        for name, stage in stages.items():
            self.add_module(name, stage)
        self.pool = pool

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features (N, width) of normalised images (N, 3, H, W)."""
        return self.pool(self.run(images))  # type: ignore[no-any-return]

    def run(self, x: torch.Tensor, start: int = 0, end: int | None = None) -> torch.Tensor:
        """Run stages start … end-1: from the input of stage `start` to the output of the last."""
        for name in self.stages[start:end]:
            x = self.get_submodule(name)(x)
        return x

    def stage_of(self, layer: str) -> str:
        """The stage a layer belongs to."""
        return layer.split(".", 1)[0]

    def layers(self) -> Iterator[LayerCard]:
        """Every module with parameters or buffers of its own, in forward order of the stages."""
        order, finder = {name: number for number, name in enumerate(self.stages)}, NormalisationFinder()
        found = [
            _layer_card(name, module, self.stage_of(name), finder.of(module))
            for name, module in self.named_modules()
            if owns_tensors(module)
        ]
        return iter(sorted(found, key=lambda layer: order[layer.stage]))


class WholeBackbone(Backbone):
    """Shared layers of an architecture without a cut: they run as a whole, but learn stage by stage.

    `body` returns pooled features; `stage_of_layer` maps each layer to its stage.
    """

    divisible = False

    def __init__(self, body: nn.Module, stage_of_layer: Mapping[str, str]) -> None:
        super().__init__({"body": body}, nn.Identity())
        self.stages = tuple(dict.fromkeys(stage_of_layer.values()))
        self._stage_of_layer = {f"body.{name}".rstrip("."): stage for name, stage in stage_of_layer.items()}

    def run(self, x: torch.Tensor, start: int = 0, end: int | None = None) -> torch.Tensor:
        """All stages at once; this architecture cannot be entered or left in between."""
        if start != 0 or end not in (None, len(self.stages)):
            raise ValueError("this backbone runs as a whole; use start=0 and end=None")
        return self.get_submodule("body")(x)  # type: ignore[no-any-return]

    def stage_of(self, layer: str) -> str:
        return self._stage_of_layer[layer]


def _layer_card(name: str, module: nn.Module, stage: str, found: Normalisation) -> LayerCard:
    own = dict(module.named_parameters(recurse=False))
    return LayerCard(
        name,
        type(module).__name__,
        sum(parameter.numel() for parameter in own.values()),
        stage,
        sum(own[weight].numel() for weight in decaying(module)),
        found.normalises,
        found.keeps_statistics,
    )


def owns_tensors(module: nn.Module) -> bool:
    """Whether a module has parameters or buffers of its own, not only those of its children."""
    return any(True for _ in module.parameters(recurse=False)) or any(True for _ in module.buffers(recurse=False))
