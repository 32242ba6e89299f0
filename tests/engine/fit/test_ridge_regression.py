"""Ridge regression against refitting by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from nbtransfer.engine.fit.ridge_regression import calibrate, ridge_path
from tests.support.features import clusters


def ridge_by_hand(x, y, penalty):
    """Weight and bias that minimise squared errors plus the penalty on the weight."""
    mean, target = x.mean(0), y.mean(0)
    centred = x - mean
    weight = torch.linalg.solve(centred.T @ centred + penalty * torch.eye(x.shape[1], dtype=x.dtype), centred.T @ (y - target))
    return weight, target - mean @ weight


@pytest.mark.parametrize(("count", "views", "width"), [(20, 1, 5), (12, 1, 30), (15, 2, 7), (9, 3, 40)])
def test_left_out_errors_are_those_of_refitting(count, views, width):
    features, labels = clusters(count, views, width, 3)
    strengths = (1e-3, 0.1, 10.0)
    path = ridge_path(features, labels, 3, strengths)
    flat = features.flatten(0, 1)
    scale = (flat - flat.mean(0)).square().sum().item() / width
    targets = F.one_hot(labels, 3).double()
    for strength, found in zip(strengths, path.errors, strict=True):
        errors = []
        for n in range(count):
            others = [i for i in range(count) if i != n]
            # The penalty and the intercept are those of a fit without the image; the mean of the rest is its own.
            x, y = features[others].flatten(0, 1), targets[others].repeat_interleave(views, 0)
            weight, bias = ridge_by_hand(x, y, strength * scale)
            errors.append((features[n] @ weight + bias - targets[n]).square().sum(1).mean().item())
        assert found == pytest.approx(sum(errors) / count, rel=1e-8)
    assert path.best == strengths[path.errors.index(min(path.errors))]


@pytest.mark.parametrize(("count", "width"), [(30, 6), (10, 50)])
def test_the_head_is_that_of_the_best_strength(count, width):
    features, labels = clusters(count, 1, width, 2)
    path = ridge_path(features, labels, 2)
    x = features[:, 0]
    scale = (x - x.mean(0)).square().sum().item() / width
    weight, bias = ridge_by_hand(x, F.one_hot(labels, 2).double(), path.best * scale)
    assert torch.allclose(path.head.weight, weight.T, atol=1e-7)
    assert torch.allclose(path.head.logits(x), x @ weight + bias, atol=1e-7)


def test_scaled_outputs_are_probabilities_worth_something():
    features, labels = clusters(60, 1, 20, 3)
    path = ridge_path(features, labels, 3)
    flat, scaled = (F.cross_entropy(head.logits(features[:, 0]), labels) for head in (path.head, calibrate(path, labels)))
    assert scaled < 0.5 * flat


def test_features_without_rank():
    features, labels = clusters(12, 1, 4, 2)
    path = ridge_path(torch.cat([features, features, torch.ones_like(features)], 2), labels, 2)
    assert torch.isfinite(path.head.weight).all()
