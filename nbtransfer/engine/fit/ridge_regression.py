"""Ridge regression on one-hot labels, with exact leave-one-image-out errors along a path of penalties. Pure functions.

Features have shape (N, V, D): V views of each of N images. The views of an image are always left out together.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from nbtransfer.engine.fit.linear_head import LinearHead


@dataclass(frozen=True, slots=True)
class RidgePath:
    """Ridge regression on one-hot labels over a grid of penalties.

    strengths         the penalties, relative to the mean eigenvalue of the features' scatter matrix
    errors            exact leave-one-image-out mean squared error for each strength
    loo_predictions   leave-one-image-out predictions for each view (N, V, K), at the best strength
    """

    strengths: tuple[float, ...]
    errors: tuple[float, ...]
    loo_predictions: torch.Tensor
    head: LinearHead

    @property
    def best(self) -> float:
        """The strength with the smallest error."""
        return self.strengths[min(range(len(self.errors)), key=self.errors.__getitem__)]


STRENGTHS = tuple(10.0**power for power in range(-6, 4))


def ridge_path(
    features: torch.Tensor, labels: torch.Tensor, classes: int, strengths: tuple[float, ...] = STRENGTHS
) -> RidgePath:
    """Ridge regression with an unpenalised intercept and exact leave-one-image-out errors for every strength.

    features (N, V, D), labels (N,). One eigendecomposition, of the smaller of the two scatter matrices, serves the whole
    grid. The errors follow from the diagonal blocks of the hat matrix H: leaving out the views b of an image changes its
    residuals r_b to (I - H_bb)^-1 r_b (Hastie, Tibshirani & Friedman 2009, section 7.10, for single rows).
    """
    count, views, width = features.shape
    x = features.reshape(count * views, width).double()
    y = F.one_hot(labels, classes).double().repeat_interleave(views, 0)
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = x - x_mean, y - y_mean
    left, values, right = _decompose(x)
    scale = max(values.sum().item() / width, 1e-300)
    along = left.T @ y
    blocks = left.view(count, views, -1)
    identity = torch.eye(views, dtype=x.dtype, device=x.device)
    best: tuple[float, float, torch.Tensor] | None = None
    errors = []
    for strength in strengths:
        shrunk = values / (values + strength * scale)
        residuals = (y - left @ (shrunk[:, None] * along)).view(count, views, classes)
        hat = (blocks * shrunk) @ blocks.mT + 1 / len(x)
        # If only an image itself determines its prediction, the block is singular; a tiny ridge keeps it invertible.
        loo_residuals = torch.linalg.solve(identity * (1 + 1e-12) - hat, residuals)
        error = loo_residuals.square().sum(2).mean().item()
        errors.append(error)
        if best is None or error < best[0]:
            best = error, strength, loo_residuals
    assert best is not None
    _, strength, loo_residuals = best
    weight = (right * (1 / (values + strength * scale))) @ (values.sqrt()[:, None] * along)
    loo_predictions = (y + y_mean).view(count, views, classes) - loo_residuals
    return RidgePath(tuple(strengths), tuple(errors), loo_predictions, LinearHead(weight.T, y_mean - x_mean @ weight))


def _decompose(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Left singular vectors, squared singular values and right singular vectors, of the smaller scatter matrix."""
    rows, columns = x.shape
    values, vectors = torch.linalg.eigh(x @ x.T if rows < columns else x.T @ x)
    nonzero = values > values[-1].clamp_min(0) * max(rows, columns) * torch.finfo(x.dtype).eps
    values, vectors = values[nonzero], vectors[:, nonzero]
    other = (x.T @ vectors if rows < columns else x @ vectors) / values.sqrt()
    return (vectors, values, other) if rows < columns else (other, values, vectors)


def calibrate(path: RidgePath, labels: torch.Tensor) -> LinearHead:
    """The head of a ridge path, its outputs scaled so that their softmax predicts left-out images best.

    Regression on one-hot labels gives outputs between 0 and 1, whose softmax would be close to uniform.
    """
    outputs, targets = path.loo_predictions.flatten(0, 1), labels.repeat_interleave(path.loo_predictions.shape[1])
    scales = torch.logspace(-1, 3, 81, base=10, dtype=outputs.dtype, device=outputs.device)
    losses = [F.cross_entropy(scale * outputs, targets).item() for scale in scales]
    scale = scales[min(range(len(losses)), key=losses.__getitem__)]
    return LinearHead(scale * path.head.weight, scale * path.head.bias)
