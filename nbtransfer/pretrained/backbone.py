"""Shared layers as a module: images in, features out, stages in forward order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

import torch
from torch import nn

from nbtransfer.core.backbone import LayerCard
from nbtransfer.pretrained.calls import record_calls
from nbtransfer.pretrained.layer_tensors import layer_tensors
from nbtransfer.pretrained.layer_traits import NormalisationFinder, decaying
from nbtransfer.pretrained.prove import Cut
from nbtransfer.pretrained.splice import Splice


class Backbone(nn.Module, ABC):
    """Shared layers, cut into stages.

    A layer is a module with tensors of its own, or a tensor of the model itself; it has the name that it has in `net`.
    """

    PREFIX: ClassVar[str]
    """What the names of tensors begin with here, before their name in `net`."""
    stages: tuple[str, ...]
    ends: tuple[str, ...] = ()
    """The modules of `net` that end the stages, where it runs as its authors wrote it."""
    leaves: tuple[tuple[str, str], ...] = ()
    """Modules of `net` without tensors that are called between layers there, with their stages."""
    pool: Callable[[torch.Tensor], torch.Tensor]
    """From the output of the last stage to features (N, width)."""

    @property
    @abstractmethod
    def net(self) -> nn.Module:
        """The module that layers are named in."""

    @abstractmethod
    def run(self, x: torch.Tensor, start: int = 0, end: int | None = None) -> torch.Tensor:
        """Run stages start … end-1: from the input of stage `start` to the output of the last."""

    @abstractmethod
    def stage_of_layers(self) -> Mapping[str, str]:
        """The stage of each layer, in forward order of the stages."""

    def tensors_of(self, layer: str) -> dict[str, torch.Tensor]:
        """A layer's own parameters and buffers, under their names here."""
        return {f"{self.PREFIX}{name}": tensor for name, tensor in layer_tensors(self.net, layer).items()}

    def layers(self) -> Iterator[LayerCard]:
        """What each layer is, in forward order of the stages."""
        finder, modules = NormalisationFinder(), dict(self.net.named_modules())
        for name, stage in self.stage_of_layers().items():
            own = layer_tensors(self.net, name)
            params = sum(tensor.numel() for tensor in own.values() if isinstance(tensor, nn.Parameter))
            if name not in modules:
                yield LayerCard(name, "Parameter", params, stage)
                continue
            module, found = modules[name], finder.of(modules[name])
            decayed = sum(module.get_parameter(weight).numel() for weight in decaying(module))
            yield LayerCard(name, type(module).__name__, params, stage, decayed, found.normalises, found.keeps_statistics)


class StagedBackbone(Backbone):
    """Stages that run one after the other, each on exactly what the one before it gave.

    Each is a child module of that name, so a layer is called `<stage>.<name in the original model>`.
    """

    PREFIX = ""

    def __init__(self, stages: Mapping[str, nn.Module], pool: nn.Module) -> None:
        super().__init__()
        self.stages = tuple(stages)
        for name, stage in stages.items():
            self.add_module(name, stage)
        self.pool = pool

    @property
    def net(self) -> nn.Module:
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features (N, width) of normalised images (N, 3, H, W)."""
        return self.pool(self.run(images))

    def run(self, x: torch.Tensor, start: int = 0, end: int | None = None) -> torch.Tensor:
        for name in self.stages[start:end]:
            x = self.get_submodule(name)(x)
        return x

    def stage_of_layers(self) -> Mapping[str, str]:
        order = {name: number for number, name in enumerate(self.stages)}
        owners = {name: name.split(".", 1)[0] for name, module in self.named_modules() if _owns_tensors(module)}
        return dict(sorted(owners.items(), key=lambda layer: order[layer[1]]))


class SplicedBackbone(Backbone):
    """A model that is entered and left in the middle of its own forward pass, where that was proved to be right.

    `body` is the model without its classifier, `shape` the height and width of its images. The whole pass is that of the
    model, untouched. While one thread enters or leaves it in the middle, no other may use it.
    """

    PREFIX = "body."

    def __init__(self, body: nn.Module, cut: Cut, shape: tuple[int, int]) -> None:
        super().__init__()
        self.body = body
        self.stages, self.ends, self.leaves, self.cut = cut.stages, cut.ends, tuple(cut.leaves.items()), cut
        self._shape = shape
        self._splice: Splice | None = None

    @property
    def net(self) -> nn.Module:
        return self.body

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features (N, width) of normalised images (N, 3, H, W)."""
        return self.body(images)  # type: ignore[no-any-return]

    def run(self, x: torch.Tensor, start: int = 0, end: int | None = None) -> torch.Tensor:
        end = len(self.stages) if end is None else end
        if start >= end:
            return x
        enter, leave = self._place(start), self._place(end)
        return self(x) if enter is None and leave is None else self._between(x, enter, leave)  # type: ignore[no-any-return]

    def pool(self, x: torch.Tensor) -> torch.Tensor:
        place = self._place(len(self.stages))
        return x if place is None else self._between(x, place, None)

    def stage_of_layers(self) -> Mapping[str, str]:
        return self.cut.layers

    def _place(self, number: int) -> str | None:
        """The module that ends so many stages; None at the input, and where the last stage ends with the model."""
        return self.ends[number - 1] if 0 < number <= len(self.ends) else None

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # a pass that is left by an exception cannot be traced
    def _between(self, x: torch.Tensor, enter: str | None, leave: str | None) -> torch.Tensor:
        if self._splice is None:  # which needs values, and most models are never entered
            images = torch.zeros(2, 3, *self._shape, dtype=x.dtype, device=x.device)
            self._splice = Splice(record_calls(self.body, images), self.ends, self._shape)
        return self._splice.run(self.body, x, enter, leave)


def _owns_tensors(module: nn.Module) -> bool:
    """Whether a module has parameters or buffers of its own, not only those of its children."""
    return any(True for _ in module.parameters(recurse=False)) or any(True for _ in module.buffers(recurse=False))
