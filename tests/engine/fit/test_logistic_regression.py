"""Logistic regression against scikit-learn's solver, and what its bound is worth."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from nbtransfer.engine.fit import logistic_regression
from nbtransfer.engine.fit.logistic_regression import STRENGTHS, TOLERANCE, logistic_path
from tests.support.features import clusters


def scaled(features):
    """Views as rows, centred, each column divided as the documents say."""
    x = features.flatten(0, 1).double()
    variance = x.var(0, correction=0)
    return (x - x.mean(0)) / (variance + variance.mean()).sqrt(), (variance + variance.mean()).sqrt(), x.mean(0)


def objective(weight, bias, x, targets, strength, smoothing=0.0):
    loss = F.cross_entropy(x @ weight.T + bias, targets, label_smoothing=smoothing)
    return (loss + strength / 2 * weight.square().sum()).item()


def by_scikit_learn(x, targets, strength):
    """Its least objective; it knows no mean over rows, and one row of weights for two classes."""
    solver = LogisticRegression(C=1 / (strength * len(x)), solver="lbfgs", tol=1e-12, max_iter=100_000)
    solver.fit(x.numpy(), targets.numpy())
    weight, bias = torch.tensor(solver.coef_), torch.tensor(solver.intercept_)
    if len(weight) == 1:  # softmax of two rows that are opposite: each is half as long, so the penalty counts half
        weight, bias = torch.cat([-weight / 2, weight / 2]), torch.cat([-bias / 2, bias / 2])
    return weight, bias


def wide(features):
    return torch.cat([features, features[..., :3], torch.ones_like(features[..., :2])], 2)


CASES = {
    "more images than features": (lambda: clusters(120, 1, 10, 4), 4),
    "fewer images than features": (lambda: clusters(24, 1, 60, 3), 3),
    "two images a class": (lambda: clusters(16, 1, 40, 8), 8),
    "several views": (lambda: clusters(30, 3, 12, 3), 3),
    "collinear and constant features": (lambda: (wide(clusters(60, 1, 12, 3)[0]), clusters(60, 1, 12, 3)[1]), 3),
    "classes that overlap": (
        lambda: (clusters(90, 1, 8, 3)[0], torch.randint(3, (90,), generator=torch.Generator().manual_seed(1))),
        3,
    ),
    "features of very different size": (
        lambda: (clusters(60, 1, 6, 3)[0] * torch.logspace(-3, 3, 6), clusters(60, 1, 6, 3)[1]),
        3,
    ),
    "unlike numbers of images": (lambda: (clusters(60, 1, 8, 3)[0], (torch.arange(60) > 3).long() + (torch.arange(60) > 8)), 3),
}


@pytest.mark.parametrize("case", CASES)
def test_equal_to_scikit_learn_along_the_path(case):
    make, classes = CASES[case]
    features, labels = make()
    x, scale, mean = scaled(features)
    targets = labels.repeat_interleave(features.shape[1])
    for fit in logistic_path(features, labels, classes):
        assert fit.converged
        weight, bias = fit.head.weight * scale, fit.head.bias + fit.head.weight @ mean
        found = objective(weight, bias, x, targets, fit.strength)
        best_weight, best_bias = by_scikit_learn(x, targets, fit.strength)
        best = objective(best_weight, best_bias, x, targets, fit.strength)
        assert found == pytest.approx(best, abs=1e-6)
        assert found - fit.gap <= best + 1e-12  # the bound holds
        ours, theirs = (x @ w.T + b for w, b in ((weight, bias), (best_weight, best_bias)))
        assert torch.allclose(ours.softmax(1), theirs.softmax(1), atol=2e-3)


def test_the_bound_of_a_fit_that_is_cut_off(monkeypatch):
    """It is above the true distance, and says that there is one."""
    features, labels = clusters(60, 1, 20, 3)
    best = next(iter(logistic_path(features, labels, 3, (1e-4,))))
    monkeypatch.setattr(logistic_regression, "MOST_NEWTON_STEPS", 2)
    cut = next(iter(logistic_path(features, labels, 3, (1e-4,))))
    x, scale, mean = scaled(features)
    above = objective(cut.head.weight * scale, cut.head.bias + cut.head.weight @ mean, x, labels, 1e-4)
    above -= objective(best.head.weight * scale, best.head.bias + best.head.weight @ mean, x, labels, 1e-4)
    assert not cut.converged
    assert TOLERANCE < above <= cut.gap


def test_a_class_without_an_image():
    features, labels = clusters(30, 1, 6, 2)
    for fit in logistic_path(features, labels, 3):
        assert fit.converged
        assert fit.head.logits(features[:, 0]).softmax(1)[:, 2].max() < 1e-6


def test_weaker_penalties_fit_better():
    features, labels = clusters(40, 1, 30, 4)
    losses = [F.cross_entropy(fit.head.logits(features[:, 0]), labels).item() for fit in logistic_path(features, labels, 4)]
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == len(STRENGTHS)


def test_a_feature_that_hardly_varies_stays_small():
    """What is standardised away would rule the head as soon as the shared layers move."""
    features, labels = clusters(200, 1, 8, 2)
    faint = 1e-4 * torch.randn(200, 1, 1, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    fits = list(logistic_path(torch.cat([features, faint], 2), labels, 2))
    assert all(fit.head.weight[:, -1].abs().max() < fit.head.weight.abs().max() for fit in fits)


@given(st.floats(-50, 50), st.floats(0.01, 100))
def test_raw_features_may_have_any_offset_and_unit(offset, unit):
    features, labels = clusters(24, 1, 4, 2)
    (plain,) = logistic_path(features, labels, 2, (0.1,))
    (moved,) = logistic_path(unit * features + offset, labels, 2, (0.1,))
    found = moved.head.logits((unit * features + offset)[:, 0])
    assert torch.allclose(found, plain.head.logits(features[:, 0]), atol=1e-3)


def test_smoothed_labels():
    features, labels = clusters(40, 1, 4, 2)
    x, scale, mean = scaled(features)
    (fit,) = logistic_path(features, labels, 2, (1e-4,), 0.2)
    weight = (fit.head.weight * scale).requires_grad_()
    bias = (fit.head.bias + fit.head.weight @ mean).requires_grad_()
    loss = F.cross_entropy(x @ weight.T + bias, labels, label_smoothing=0.2) + 1e-4 / 2 * weight.square().sum()
    loss.backward()
    assert max(weight.grad.abs().max(), bias.grad.abs().max()) < 1e-5
