"""Multinomial logistic regression along a path of falling penalties, each fit to a proven distance from its optimum.

The objective of a fit is the mean cross-entropy in nats plus strength / 2 times the squared norm of the weight; the
intercept is free. It is minimised by a truncated Newton method (Nocedal & Wright 2006, section 7.1).

How far a fit is from its optimum follows from Fenchel duality: with P the probabilities and Y the targets, A = (P - Y) / N is
a feasible point of the dual problem as soon as its columns sum to zero, that is, when the intercept is optimal. The duality
gap there is the squared norm of the weight's gradient over 2 · strength.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch.nn import functional as F

from nbtransfer.engine.fit.linear_head import LinearHead

STRENGTHS = tuple(10.0 ** (power / 2) for power in range(2, -9, -1))
TOLERANCE = 1e-8
"""Largest duality gap in nats of a fit that has converged."""
MOST_NEWTON_STEPS, MOST_INNER_STEPS, MOST_INTERCEPT_STEPS = 50, 60, 50
INNER_ACCURACY = 0.1
"""A Newton step is computed until its residual has fallen to this share: more would not save a step."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The head for one strength of the penalty; `gap` bounds how far its objective is above the optimum, in nats."""

    strength: float
    head: LinearHead
    gap: float

    @property
    def converged(self) -> bool:
        """Whether it is the optimum to within the tolerance."""
        return self.gap <= TOLERANCE


def logistic_path(
    features: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
    strengths: tuple[float, ...] = STRENGTHS,
    smoothing: float = 0.0,
) -> Iterator[Fit]:
    """Fits along falling strengths, each of which starts where the two before point to.

    features (N, V, D) are V views of each of N images, labels (N,). The penalty applies to scaled features: each is divided
    by the root of its variance plus the mean variance of all. Plain standardisation would blow up features that hardly vary,
    and the head with them: it would read little else once the shared layers begin to learn.
    """
    count, views, width = features.shape
    x = features.reshape(count * views, width).double()
    mean, variance = x.mean(0), x.var(0, correction=0)
    scale = (variance + variance.mean().clamp_min(1e-30)).sqrt()
    targets = F.one_hot(labels.repeat_interleave(views), classes).T.double() * (1 - smoothing) + smoothing / classes
    problem = _Problem((x - mean) / scale, targets)
    before = solution = _Point(x.new_zeros(classes, problem.width), x.new_zeros(classes, 1), torch.zeros_like(targets))
    for number, strength in enumerate(strengths):
        # Along powers of the strength, solutions move nearly in a line; the first one comes from zero, not from such a step.
        start = solution.moved(solution.minus(before)) if number > 1 else solution
        before, (solution, gap) = solution, _minimise(problem, strength, start)
        weight = problem.on_features(solution.weight) / scale
        yield Fit(strength, LinearHead(weight, solution.bias[:, 0] - weight @ mean), gap)


@dataclass(frozen=True, slots=True)
class _Point:
    """Weight (K, D) and bias (K, 1) on the coordinates of a problem, or a step there; the scores (K, N) are without bias."""

    weight: torch.Tensor
    bias: torch.Tensor
    scores: torch.Tensor

    def moved(self, step: _Point, length: float = 1.0) -> _Point:
        """Where a share of a step leads to."""
        return _Point(self.weight + length * step.weight, self.bias + length * step.bias, self.scores + length * step.scores)

    def minus(self, other: _Point) -> _Point:
        """The step that leads here from another point."""
        return self.moved(other, -1.0)


class _Problem:
    """Rows (N, D) with targets (K, N).

    Where rows are fewer than features, the optimum lies in their span: the problem is stated in coordinates of an orthonormal
    basis of it. Products inside a Newton step are computed in fp32 and along the principal components of the rows, where the
    preconditioner is diagonal: they decide how fast the optimum is reached, not where it is. Few classes stand before many
    rows everywhere: thin products are several times faster that way.
    """

    def __init__(self, x: torch.Tensor, targets: torch.Tensor) -> None:
        rows, width = x.shape
        self.targets = targets
        self._basis: torch.Tensor | None = None
        self._components: torch.Tensor | None = None
        if rows < width:
            values, vectors = torch.linalg.eigh(x @ x.T)
            nonzero = values > values[-1].clamp_min(1e-300) * rows * torch.finfo(x.dtype).eps
            values, vectors = values[nonzero], vectors[:, nonzero]
            self._basis = x.T @ vectors / values.sqrt()
            x = vectors * values.sqrt()
            self._eigenvalues = (values / rows).float()
            self._fast = x.float().contiguous()
        else:
            fast = x.float()
            self._eigenvalues, self._components = torch.linalg.eigh(fast.T @ fast / rows)
            self._fast = fast @ self._components
        self.x = x.contiguous()
        self._fast_transposed = self._fast.T.contiguous()

    @property
    def width(self) -> int:
        return self.x.shape[1]

    def on_features(self, weight: torch.Tensor) -> torch.Tensor:
        """A weight on the problem's coordinates as one on the features."""
        return weight if self._basis is None else weight @ self._basis.T

    def to_components(self, gradient: torch.Tensor) -> torch.Tensor:
        """A direction (K, D) along the principal components, in fp32."""
        return gradient.float() if self._components is None else gradient.float() @ self._components

    def from_components(self, step: torch.Tensor) -> torch.Tensor:
        """The way back, in fp64."""
        return step.double() if self._components is None else (step @ self._components.T).double()

    def curved(self, weight: torch.Tensor, bias: torch.Tensor, p: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The Hessian of the mean cross-entropy at probabilities p (K, N) times a direction along the components."""
        moved = weight @ self._fast_transposed + bias
        bent = p * (moved - (p * moved).sum(0)) / p.shape[1]
        return bent @ self._fast, bent.sum(1, keepdim=True)

    def diagonal(self, spread: torch.Tensor, strength: float) -> torch.Tensor:
        """The Hessian along the components (K, D) that would result if class k had the variance spread[k] in all rows."""
        diagonal: torch.Tensor = spread * self._eigenvalues.clamp_min(0) + strength
        return diagonal


def _minimise(problem: _Problem, strength: float, point: _Point) -> tuple[_Point, float]:
    """The best point that is found from another, and its duality gap."""
    gap = float("inf")
    for _ in range(MOST_NEWTON_STEPS):
        point = replace(point, bias=_best_bias(point.scores, problem.targets, point.bias))
        probabilities = (point.scores + point.bias).softmax(0)
        gradient = (probabilities - problem.targets) @ problem.x / point.scores.shape[1] + strength * point.weight
        gap = gradient.square().sum().item() / (2 * strength)
        if gap <= TOLERANCE:
            break
        step = _newton_step(problem, strength, gradient, probabilities)
        point = _line_search(problem, strength, point, step, (gradient * step.weight).sum().item())
    return point, gap


def _best_bias(scores: torch.Tensor, targets: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """The intercept (K, 1) that is optimal for scores (K, N), by Newton's method; without it no gap can be stated."""
    # Two flat directions get a curvature of their own: adding one number to all intercepts changes nothing, and a class
    # without a single row has its optimum at minus infinity.
    flat = 1 / len(bias) + 1e-14 * torch.eye(len(bias), dtype=bias.dtype, device=bias.device)
    for _ in range(MOST_INTERCEPT_STEPS):
        p = (scores + bias).softmax(0)
        gradient = (p - targets).mean(1, keepdim=True)
        if gradient.abs().max() <= 1e-13:
            break
        step = torch.linalg.solve(p.mean(1).diag() - p @ p.T / p.shape[1] + flat, gradient)
        bias = bias - step.clamp(-1, 1)
    return bias


def _newton_step(problem: _Problem, strength: float, gradient: torch.Tensor, probabilities: torch.Tensor) -> _Point:
    """The step for weight and bias, by preconditioned conjugate gradients; the gradient of the bias is zero."""
    p = probabilities.float()
    spread = (p * (1 - p)).mean(1, keepdim=True).clamp_min(1e-12)
    diagonal = problem.diagonal(spread, strength)
    residual, bias_residual = -problem.to_components(gradient), torch.zeros_like(spread)
    step, bias_step = torch.zeros_like(residual), torch.zeros_like(spread)
    direction, bias_direction = residual / diagonal, torch.zeros_like(spread)
    size = first = (residual * direction).sum()
    for _ in range(MOST_INNER_STEPS):
        curved, bias_curved = problem.curved(direction, bias_direction, p)
        curved += strength * direction
        length = size / ((direction * curved).sum() + (bias_direction * bias_curved).sum())
        step, bias_step = step + length * direction, bias_step + length * bias_direction
        residual, bias_residual = residual - length * curved, bias_residual - length * bias_curved
        conditioned, bias_conditioned = residual / diagonal, bias_residual / spread
        before, size = size, (residual * conditioned).sum() + (bias_residual * bias_conditioned).sum()
        if size <= INNER_ACCURACY**2 * first:
            break
        direction = conditioned + size / before * direction
        bias_direction = bias_conditioned + size / before * bias_direction
    weight = problem.from_components(step)
    return _Point(weight, bias_step.double(), weight @ problem.x.T)


def _line_search(problem: _Problem, strength: float, now: _Point, step: _Point, slope: float) -> _Point:
    """Go along a step, half as far each time until the objective falls as its slope promises (Armijo)."""

    def objective(point: _Point) -> float:
        logits = point.scores + point.bias
        entropy = (logits.logsumexp(0) - (problem.targets * logits).sum(0)).mean()
        return (entropy + strength / 2 * point.weight.square().sum()).item()

    start, length = objective(now), 1.0
    while length > 1e-10:
        new = now.moved(step, length)
        if objective(new) <= start + 1e-4 * length * slope:
            return new
        length /= 2
    return now
