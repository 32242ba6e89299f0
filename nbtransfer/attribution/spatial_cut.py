"""Where in a backbone to look at evidence: the last place whose positions still mean places in the image.

Found by trying, not by a table of families: from the last stage backwards, an activation is taken if it has more than one
position and the features really read more than one (a vision transformer reads nothing but the class token after its last
block, so it is looked at before that block).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from nbtransfer.pretrained.backbone import Backbone, WholeBackbone

Half = Callable[[Backbone, torch.Tensor], torch.Tensor]
MOST_TOKENS = 5
"""Tokens before the patches: class token, distillation token, registers."""


@dataclass(frozen=True)
class SpatialLayout:
    """How an activation of N images lies in memory.

    kind      "NCHW" (N, C, rows, columns), "NHWC" (N, rows, columns, C), or "tokens" (N, extra + rows · columns, C)
    extra     tokens before the patches, which stand for no place
    """

    kind: str
    rows: int
    columns: int
    extra: int = 0

    @classmethod
    def of(cls, shape: torch.Size) -> SpatialLayout | None:
        """The layout of an activation of square images, from its shape; None when it is not spatial."""
        if len(shape) == 4:
            # Square images give square activations, and channels are hardly ever as many as rows.
            channels_last = shape[1] == shape[2] != shape[3]
            rows, columns = shape[1:3] if channels_last else shape[2:]
            return cls("NHWC" if channels_last else "NCHW", rows, columns) if rows * columns > 1 else None
        if len(shape) == 3:
            side = math.isqrt(shape[1])
            extra = shape[1] - side * side
            return cls("tokens", side, side, extra) if side > 1 and extra <= MOST_TOKENS else None
        return None

    def positions(self, activation: torch.Tensor) -> torch.Tensor:
        """(N, extra + rows · columns, C), whatever the layout."""
        if self.kind == "tokens":
            return activation
        return activation.flatten(2).transpose(1, 2) if self.kind == "NCHW" else activation.flatten(1, 2)

    def grid(self, positions: torch.Tensor) -> torch.Tensor:
        """One number for each position (extra + rows · columns) as a map (rows, columns), without the extra tokens."""
        return positions[self.extra :].reshape(self.rows, self.columns)


@dataclass(frozen=True)
class SpatialCut:
    """A cut in two: `enter` goes from images to the activation there, `leave` from the activation to the features."""

    name: str
    layout: SpatialLayout
    enter: Half
    leave: Half

    def averages(self, activation: torch.Tensor, features: torch.Tensor) -> bool:
        """Whether these features are nothing but the average of this activation over its positions."""
        mean = self.layout.positions(activation).mean(1)
        return mean.shape == features.shape and torch.allclose(mean, features, rtol=1e-4, atol=1e-5)


def find(backbone: Backbone, images: torch.Tensor) -> SpatialCut | None:
    """The last boundary that is spatial and read in more than one place, on these images (N, 3, H, W); or None."""
    with torch.no_grad():
        features = backbone(images)
    for name, enter, leave in _candidates(backbone, images):
        with torch.no_grad():
            activation = enter(backbone, images)
        # Some bodies of timm hand over several tensors at once, of which none is all there is.
        layout = SpatialLayout.of(activation.shape) if isinstance(activation, torch.Tensor) else None
        if layout is not None and _reads_places(backbone, layout, leave, activation, features):
            return SpatialCut(name, layout, enter, leave)
    return None


def _candidates(backbone: Backbone, images: torch.Tensor) -> Iterator[tuple[str, Half, Half]]:
    if isinstance(backbone, WholeBackbone):
        body = backbone.get_submodule("body")
        if hasattr(body, "forward_head"):
            yield "forward_features", _body_features, _body_head
        for number in range(len(getattr(body, "blocks", ())) - 2, -1, -1):
            name = f"blocks.{number}"
            yield name, *_around_module(f"body.{name}", torch.zeros_like(images[:1]))
        return
    for number in range(len(backbone.stages), 0, -1):
        yield backbone.stages[number - 1], *_around(number)


def _around(number: int) -> tuple[Half, Half]:
    return lambda net, x: net.run(x, 0, number), lambda net, x: net.pool(net.run(x, number))


def _around_module(name: str, empty: torch.Tensor) -> tuple[Half, Half]:
    """A cut behind a module of a body that cannot be entered there: listen to it, then put words into its mouth.

    What comes before it sees an empty image then, so `find` takes the cut only if everything really crosses it there.
    """

    def enter(backbone: Backbone, images: torch.Tensor) -> torch.Tensor:
        heard: list[torch.Tensor] = []
        with _hooked(backbone.get_submodule(name), heard.append):
            backbone(images)
        return heard[0]

    def leave(backbone: Backbone, activation: torch.Tensor) -> torch.Tensor:
        with _hooked(backbone.get_submodule(name), lambda _: activation):
            return cast("torch.Tensor", backbone(empty))

    return enter, leave


@contextmanager
def _hooked(module: nn.Module, told: Callable[[torch.Tensor], torch.Tensor | None]) -> Iterator[None]:
    hook = module.register_forward_hook(lambda _module, _given, result: told(result))
    try:
        yield
    finally:
        hook.remove()


def _body_features(backbone: Backbone, images: torch.Tensor) -> torch.Tensor:
    body: nn.Module = backbone.get_submodule("body")
    return cast("torch.Tensor", body.forward_features(images))  # type: ignore[operator]


def _body_head(backbone: Backbone, activation: torch.Tensor) -> torch.Tensor:
    body: nn.Module = backbone.get_submodule("body")
    return cast("torch.Tensor", body.forward_head(activation, pre_logits=True))  # type: ignore[operator]


def _reads_places(
    backbone: Backbone, layout: SpatialLayout, leave: Half, activation: torch.Tensor, features: torch.Tensor
) -> bool:
    """Whether `leave` gives the features, and more than one place has a say in them."""
    entering = activation.detach().clone().requires_grad_()
    left = leave(backbone, entering)
    if left.shape != features.shape or not torch.allclose(left, features, rtol=1e-4, atol=1e-5):
        return False
    # Random weights: the plain sum of normalised features is constant, and its gradient says nothing.
    weights = torch.randn(features.shape, generator=torch.Generator().manual_seed(0)).to(features)
    (gradient,) = torch.autograd.grad(left, entering, weights)
    places = layout.positions(gradient)[:, layout.extra :]
    return bool((places.abs().sum(2) > 0).any(0).sum() > 1)
