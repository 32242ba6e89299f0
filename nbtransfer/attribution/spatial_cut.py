"""Where a backbone is cut to map evidence: the last activation whose positions correspond to places in the image.

Found by trial, not in a table of families: from the last stage backwards, the first activation that has more than one
position and whose features depend on more than one. (After its last block, a vision transformer reads only the class token,
so it is cut before that block.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from nbtransfer.pretrained.backbone import Backbone

Half = Callable[[Backbone, torch.Tensor], torch.Tensor]
MOST_TOKENS = 5
"""Tokens before the patches: class token, distillation token, registers."""


@dataclass(frozen=True)
class SpatialLayout:
    """The axes of an activation of N images.

    kind      "NCHW" (N, C, rows, columns), "NHWC" (N, rows, columns, C), or "tokens" (N, extra + rows · columns, C)
    extra     tokens before the patches, which have no place in the image
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
    """A backbone in two halves: `enter` goes from images to the activation at the cut, `leave` from there to the features."""

    name: str
    layout: SpatialLayout
    enter: Half
    leave: Half

    def averages(self, activation: torch.Tensor, features: torch.Tensor) -> bool:
        """Whether the features are just the average of the activation over its positions."""
        mean = self.layout.positions(activation).mean(1)
        return mean.shape == features.shape and torch.allclose(mean, features, rtol=1e-4, atol=1e-5)


def find_cut(backbone: Backbone, images: torch.Tensor) -> SpatialCut | None:
    """The last spatial cut whose features depend on more than one position, for images (N, 3, H, W); None if there is none."""
    with torch.no_grad():
        features = backbone(images)
    for name, enter, leave in _candidates(backbone):
        with torch.no_grad():
            activation = enter(backbone, images)
        layout = SpatialLayout.of(activation.shape)
        if layout is not None and _reads_several_positions(backbone, layout, leave, activation, features):
            return SpatialCut(name, layout, enter, leave)
    return None


def _candidates(backbone: Backbone) -> Iterator[tuple[str, Half, Half]]:
    for number in range(len(backbone.stages), 0, -1):
        yield backbone.stages[number - 1], *_cut_after_stage(number)


def _cut_after_stage(number: int) -> tuple[Half, Half]:
    return lambda net, x: net.run(x, 0, number), lambda net, x: net.pool(net.run(x, number))


def _reads_several_positions(
    backbone: Backbone, layout: SpatialLayout, leave: Half, activation: torch.Tensor, features: torch.Tensor
) -> bool:
    """Whether `leave` gives the features, and they depend on more than one position."""
    entering = activation.detach().clone().requires_grad_()
    output = leave(backbone, entering)
    if output.shape != features.shape or not torch.allclose(output, features, rtol=1e-4, atol=1e-5):
        return False
    # Random weights, because the plain sum of normalised features is constant: its gradient is zero.
    weights = torch.randn(features.shape, generator=torch.Generator().manual_seed(0)).to(features)
    (gradient,) = torch.autograd.grad(output, entering, weights)
    positions = layout.positions(gradient)[:, layout.extra :]
    return bool((positions.abs().sum(2) > 0).any(0).sum() > 1)
