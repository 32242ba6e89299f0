"""Heads that are fitted by a solver, against scikit-learn and against fitting anew without each image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch.nn import functional as F

from benchmarks.truth.claim import Claim
from nbtransfer.engine.fit.logistic_regression import STRENGTHS, logistic_path
from nbtransfer.engine.fit.ridge_regression import ridge_path

Data = tuple[str, torch.Tensor, torch.Tensor]


def _data() -> Iterator[Data]:
    """Kinds of features (N, 1, D) with labels: few and many images, collinear, constant, of unlike scales, overlapping."""
    for name, images, width, classes, spread in (
        ("many images", 240, 20, 4, 1.0), ("fewer images than features", 40, 90, 4, 1.0), ("two a class", 20, 60, 10, 0.3),
        ("overlapping", 150, 10, 3, 4.0), ("two classes", 60, 15, 2, 1.0),
    ):  # fmt: skip
        source = torch.Generator().manual_seed(images)
        labels = torch.arange(images) % classes
        centres = torch.randn(classes, width, generator=source, dtype=torch.float64)
        features = centres[labels] + spread * torch.randn(images, width, generator=source, dtype=torch.float64)
        yield name, features[:, None], labels
        if name == "many images":
            yield "collinear and constant", torch.cat([features, features[:, :5], torch.ones(images, 2)], 1)[:, None], labels
            yield "unlike scales", (features * torch.logspace(-3, 3, width, dtype=torch.float64))[:, None], labels
            yield "unlike classes", features[:, None], (torch.arange(images) > 5).long() + (torch.arange(images) > 12)


def logistic(*, quick: bool) -> Claim:
    """Every strength of the path, by scikit-learn at its tightest tolerance."""
    cases, worst, bounds = 0, 0.0, 0
    for _, features, labels in list(_data())[: 1 if quick else None]:
        classes = int(labels.max()) + 1
        x = features[:, 0]
        variance = x.var(0, correction=0)
        scale = (variance + variance.mean()).sqrt()
        z = (x - x.mean(0)) / scale

        def objective(weight: torch.Tensor, bias: torch.Tensor, strength: float, z=z, labels=labels) -> float:  # type: ignore[no-untyped-def]
            return (F.cross_entropy(z @ weight.T + bias, labels) + strength / 2 * weight.square().sum()).item()

        for strength, fit in zip(STRENGTHS, logistic_path(features, labels, classes), strict=True):
            # Of two classes it fits one row of weights; two opposite ones are half as long each, so the penalty counts half.
            counted = strength / 2 if classes == 2 else strength
            solver = LogisticRegression(C=1 / (counted * len(z)), tol=1e-12, max_iter=100_000).fit(z.numpy(), labels.numpy())
            weight, bias = torch.tensor(solver.coef_), torch.tensor(solver.intercept_)
            if classes == 2:
                weight, bias = torch.cat([-weight / 2, weight / 2]), torch.cat([-bias / 2, bias / 2])
            ours = objective(fit.head.weight * scale, fit.head.bias + fit.head.weight @ x.mean(0), strength)
            least = objective(weight, bias, strength)
            cases, worst = cases + 1, max(worst, ours - least)
            bounds += ours - least > fit.gap + 1e-9
    return Claim(
        "solved logistic heads are optimal, and say how far they may be off", "scikit-learn, tol 1e-12",
        f"{cases} fits in {1 if quick else 8} kinds of data", f"loss at most {worst:.1e} above; the bound held in all",
        int(worst > 1e-6) + bounds,
    )  # fmt: skip


def ridge(*, quick: bool) -> Claim:
    """Leave-one-out errors, by fitting anew without each image."""
    cases, worst = 0, 0.0
    for _, features, labels in list(_data())[: 1 if quick else None]:
        classes, x = int(labels.max()) + 1, features[:, 0].numpy()
        y = np.eye(classes)[labels.numpy()]
        path = ridge_path(features, labels, classes)
        scale = np.square(x - x.mean(0)).sum() / x.shape[1]
        for strength, error in list(zip(path.strengths, path.errors, strict=True))[:: 5 if quick else 2]:
            errors = []
            for left_out in range(len(x)):
                rest = np.arange(len(x)) != left_out
                model = Ridge(alpha=strength * scale, solver="svd").fit(x[rest], y[rest])
                errors.append(np.square(model.predict(x[[left_out]]) - y[left_out]).sum())
            cases, worst = cases + 1, max(worst, abs(error - float(np.mean(errors))) / max(error, 1e-12))
    return Claim(
        "leave-one-out errors of ridge regression", "scikit-learn's `Ridge`, fitted without each image in turn",
        f"{cases} penalties in {1 if quick else 8} kinds of data", f"relative difference at most {worst:.1e}",
        int(worst > 1e-5),
    )  # fmt: skip
