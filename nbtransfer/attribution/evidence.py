"""Split the change of the evidence exactly between shared features and head.

Two players, the shared layers and the head, each in its state before (0) or after (1). The contribution of each to the change
is its Shapley value: the mean of its effect when it changes first and its effect when it changes second. For features f and
a linear head w this is

    shared = ½ (w0 + w1) · (f1 − f0)        head = (w1 − w0) · ½ (f0 + f1) + (b1 − b0)

and the same holds position by position at the last spatial stage. Where there is more than averaging between that stage
and the head, a map M(i, j) of shared layers i under head j is a path attribution (integrated gradients in activation space,
from the activation of the baseline image), and

    shared = ½ [(M10 − M00) + (M11 − M01)]        head = ½ [(M01 − M00) + (M11 − M10)]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from nbtransfer.attribution.findings import Evidence, EvidenceChange, Part
from nbtransfer.attribution.spatial_cut import SpatialCut, SpatialLayout
from nbtransfer.engine.model.transfer_model import TransferModel

PATH_STEPS, PATH_BATCH = 32, 8
Models = tuple[TransferModel, TransferModel]
Pair = tuple[torch.Tensor, torch.Tensor]


def margin(head: nn.Linear, target: int) -> Pair:
    """Weights (width) and bias of the margin y_c − mean_j y_j of class `target`, in double precision."""
    weight, bias = head.weight.double(), head.bias.double()
    return weight[target] - weight.mean(0), bias[target] - bias.mean()


def change(models: Models, features: Pair, target: int) -> EvidenceChange:
    """Split the change of one class's margin for one image, from its features (1, width) before and after."""
    (w0, b0), (w1, b1) = (margin(model.linear_head, target) for model in models)
    f0, f1 = (f[0].double() for f in features)
    shared = 0.5 * (w0 + w1) @ (f1 - f0)
    head = 0.5 * (w1 - w0) @ (f0 + f1) + (b1 - b0)
    before, after = (_model_margin(model, f, target) for model, f in zip(models, features, strict=True))
    return EvidenceChange(before, after, float(w0 @ f1 + b0), float(w1 @ f0 + b1), float(shared), float(head))


def _model_margin(model: TransferModel, features: torch.Tensor, target: int) -> float:
    """The margin as the model itself computes it, in fp32."""
    logits = model.head(features)[0]
    return float(logits[target] - logits.mean())


def cam_evidence(models: Models, cut: SpatialCut, activations: Pair, split: EvidenceChange, target: int) -> Evidence:
    """Class activation maps (Zhou et al. 2016, arXiv 1512.04150) of the margin and its change; the bias has no position."""
    (w0, b0), (w1, b1) = (margin(model.linear_head, target) for model in models)
    layout = cut.layout
    a0, a1 = (layout.positions(a)[0].double() for a in activations)
    count = len(a0)
    maps = (a0 @ w0, a1 @ w1, (a1 - a0) @ (0.5 * (w0 + w1)), (0.5 * (a0 + a1)) @ (w1 - w0))
    offsets = (float(b0), float(b1), 0.0, float(b1 - b0))
    values = (split.before, split.after, split.shared, split.head)
    before, after, shared, head = (
        _part(layout, places / count, offset, value) for places, offset, value in zip(maps, offsets, values, strict=True)
    )
    return Evidence(cut.name, True, before, after, shared, head)


def path_evidence(
    models: Models, cut: SpatialCut, activations: Pair, baselines: Pair, split: EvidenceChange, target: int, *, frozen: bool
) -> Evidence:
    """Path attributions of the margin and of its change, from the activations of the baseline image.

    The evidence of the baseline image itself belongs to no position: it is the offset of each part. `frozen` says that the
    shared layers are the same bit for bit, so that one path serves both.
    """
    heads = [margin(model.linear_head, target) for model in models]
    weights, biases = (torch.stack(of_both) for of_both in zip(*heads, strict=True))
    tails = [_tail(model, cut) for model in models]
    m0 = path_attribution(tails[0], baselines[0], activations[0], weights)
    m1 = m0 if frozen else path_attribution(tails[1], baselines[1], activations[1], weights)
    m0, m1 = (cut.layout.positions(m).double().sum(2) for m in (m0, m1))
    with torch.no_grad():
        f0, f1 = (tail(baseline)[0].double() for tail, baseline in zip(tails, baselines, strict=True))
    f1 = f0 if frozen else f1
    maps = (m0[0], m1[1], *_shapley(m0, m1))
    at_baseline = (weights @ f0 + biases, weights @ f1 + biases)
    offsets = (at_baseline[0][0], at_baseline[1][1], *_shapley(*at_baseline))
    values = (split.before, split.after, split.shared, split.head)
    before, after, shared, head = (
        _part(cut.layout, places, float(offset), value) for places, offset, value in zip(maps, offsets, values, strict=True)
    )
    return Evidence(cut.name, False, before, after, shared, head)


def _shapley(m0: torch.Tensor, m1: torch.Tensor) -> Pair:
    """The shared part and the head part, from the hybrids m_i[j]: shared layers i under head j."""
    shared = 0.5 * ((m1[0] - m0[0]) + (m1[1] - m0[1]))
    head = 0.5 * ((m0[1] - m0[0]) + (m1[1] - m1[0]))
    return shared, head


def _tail(model: TransferModel, cut: SpatialCut) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda activation: cut.leave(model.backbone, activation)


def _part(layout: SpatialLayout, places: torch.Tensor, offset: float, value: float) -> Part:
    tokens = float(places[: layout.extra].sum())
    return Part(layout.grid(places).cpu().numpy(), tokens, offset, value)


def path_attribution(
    tail: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor, end: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Integrated gradients of weights · tail(a) on the straight path from `start` to `end` (both (1, …)).

    Returns one attribution per row of `weights` (heads, width): (heads, …). Gauss–Legendre points, so that few steps suffice.
    """
    nodes, shares = np.polynomial.legendre.leggauss(PATH_STEPS)
    total = torch.zeros(len(weights), *start.shape[1:], dtype=torch.float64, device=start.device)
    for first in range(0, PATH_STEPS, PATH_BATCH):
        chosen = slice(first, first + PATH_BATCH)
        alphas, share = (_broadcastable(values[chosen], start) for values in ((nodes + 1) / 2, shares / 2))
        points = (start + alphas.to(start.dtype) * (end - start)).detach().requires_grad_()
        for number, gradient in enumerate(_gradients(tail(points), points, weights)):
            total[number] += (share * gradient.double()).sum(0)
    return total * (end - start).double()


def _broadcastable(values: np.ndarray[tuple[int], np.dtype[np.float64]], like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(values).to(like.device).view(-1, *[1] * (like.ndim - 1))


def _gradients(features: torch.Tensor, points: torch.Tensor, weights: torch.Tensor) -> Sequence[torch.Tensor]:
    """The gradient of each weighted sum of the features. All of them share one forward pass."""
    last = len(weights) - 1
    return [
        torch.autograd.grad(features, points, w.to(features.dtype).expand_as(features), retain_graph=number < last)[0]
        for number, w in enumerate(weights)
    ]
