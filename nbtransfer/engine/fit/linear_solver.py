"""Linear classifiers on features, fitted by a solver instead of trained. Pure functions.

Features have shape (N, V, D): V views of each of N images. The views of an image are always left out together. The result
is a weight (K, D) and a bias (K,) for raw features, whatever scaling the solver uses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Head:
    """logits = features @ weight.T + bias, with `weight` (K, D) and `bias` (K,)."""

    weight: torch.Tensor
    bias: torch.Tensor

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """(N, K) from (N, D)."""
        return features.to(self.weight.dtype) @ self.weight.T + self.bias


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
    head: Head

    @property
    def best(self) -> float:
        """The strength with the smallest error."""
        return self.strengths[min(range(len(self.errors)), key=self.errors.__getitem__)]


RIDGE_STRENGTHS = tuple(10.0**power for power in range(-6, 4))
LOGISTIC_STRENGTHS = tuple(10.0 ** (power / 2) for power in range(2, -9, -1))


def ridge(
    features: torch.Tensor, labels: torch.Tensor, classes: int, strengths: tuple[float, ...] = RIDGE_STRENGTHS
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
    return RidgePath(tuple(strengths), tuple(errors), loo_predictions, Head(weight.T, y_mean - x_mean @ weight))


def _decompose(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Left singular vectors, squared singular values and right singular vectors, of the smaller scatter matrix."""
    rows, columns = x.shape
    values, vectors = torch.linalg.eigh(x @ x.T if rows < columns else x.T @ x)
    nonzero = values > values[-1].clamp_min(0) * max(rows, columns) * torch.finfo(x.dtype).eps
    values, vectors = values[nonzero], vectors[:, nonzero]
    other = (x.T @ vectors if rows < columns else x @ vectors) / values.sqrt()
    return (vectors, values, other) if rows < columns else (other, values, vectors)


def calibrate(path: RidgePath, labels: torch.Tensor) -> Head:
    """The head of a ridge path, its outputs scaled so that their softmax predicts left-out images best.

    Regression on one-hot labels gives outputs between 0 and 1, whose softmax would be close to uniform.
    """
    outputs, targets = path.loo_predictions.flatten(0, 1), labels.repeat_interleave(path.loo_predictions.shape[1])
    scales = torch.logspace(-1, 3, 81, base=10, dtype=outputs.dtype, device=outputs.device)
    losses = [F.cross_entropy(scale * outputs, targets).item() for scale in scales]
    scale = scales[min(range(len(losses)), key=losses.__getitem__)]
    return Head(scale * path.head.weight, scale * path.head.bias)


@dataclass(frozen=True, slots=True)
class Fit:
    """One point of a path: the head at a strength, and whether the solver converged."""

    strength: float
    head: Head
    converged: bool


def logistic_path(
    features: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
    strengths: tuple[float, ...] = LOGISTIC_STRENGTHS,
    smoothing: float = 0.0,
) -> Iterator[Fit]:
    """Multinomial logistic regression with a falling penalty, each fit starting from the one before.

    features (N, V, D), labels (N,). Minimises the mean cross-entropy plus strength / 2 times the squared norm of
    the weight on scaled features; the intercept has no penalty. Solved by L-BFGS (Liu & Nocedal 1989).

    Each feature is divided by the root of its variance plus the mean variance of all. Plain standardisation would blow up
    features that hardly vary, and their weights: they would dominate once the shared layers begin to learn.
    """
    count, views, width = features.shape
    x = features.reshape(count * views, width).float()
    targets = labels.repeat_interleave(views)
    mean = x.mean(0, dtype=torch.double)
    variance = (x - mean.float()).square().mean(0, dtype=torch.double)
    scale = (variance + variance.mean().clamp_min(1e-30)).sqrt()
    x = (x - mean.float()) / scale.float()
    weight = torch.zeros(classes, width, dtype=x.dtype, device=x.device, requires_grad=True)
    bias = torch.zeros(classes, dtype=x.dtype, device=x.device, requires_grad=True)
    for strength in strengths:

        def loss(strength: float = strength) -> torch.Tensor:
            fit = F.cross_entropy(F.linear(x, weight, bias), targets, label_smoothing=smoothing)
            return fit + strength / 2 * weight.square().sum()

        converged = _minimise(loss, [weight, bias])
        raw = weight.detach().double() / scale
        yield Fit(strength, Head(raw.clone(), bias.detach().double() - raw @ mean), converged)


def _minimise(loss: Callable[[], torch.Tensor], parameters: list[torch.Tensor], max_steps: int = 200) -> bool:
    """Minimise in place; returns whether the largest entry of the gradient fell to 1e-4."""
    tolerance = 1e-4
    solver = torch.optim.LBFGS(
        parameters,
        max_iter=max_steps,
        history_size=10,
        tolerance_grad=tolerance,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        solver.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(closure)  # type: ignore[no-untyped-call]
    reached = closure().item()
    steepest = max(p.grad.abs().max().item() for p in parameters if p.grad is not None)
    return math.isfinite(reached) and steepest <= tolerance * 1.5
