"""Heads that are solved for, against what one would do by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from nbtransfer.engine.fit import linear_solver


def data(count, views, width, classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    centres = torch.randn(classes, width, generator=generator, dtype=torch.double)
    features = centres[labels][:, None] + torch.randn(count, views, width, generator=generator, dtype=torch.double)
    return features, labels


def ridge_by_hand(x, y, penalty):
    """Weight and bias that minimise squared errors plus the penalty on the weight."""
    mean, target = x.mean(0), y.mean(0)
    centred = x - mean
    weight = torch.linalg.solve(centred.T @ centred + penalty * torch.eye(x.shape[1], dtype=x.dtype), centred.T @ (y - target))
    return weight, target - mean @ weight


class TestRidge:
    @pytest.mark.parametrize(("count", "views", "width"), [(20, 1, 5), (12, 1, 30), (15, 2, 7), (9, 3, 40)])
    def test_left_out_errors_are_those_of_refitting(self, count, views, width):
        features, labels = data(count, views, width, 3)
        strengths = (1e-3, 0.1, 10.0)
        path = linear_solver.ridge(features, labels, 3, strengths)
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
    def test_the_head_is_that_of_the_best_strength(self, count, width):
        features, labels = data(count, 1, width, 2)
        path = linear_solver.ridge(features, labels, 2)
        x = features[:, 0]
        scale = (x - x.mean(0)).square().sum().item() / width
        weight, bias = ridge_by_hand(x, F.one_hot(labels, 2).double(), path.best * scale)
        assert torch.allclose(path.head.weight, weight.T, atol=1e-7)
        assert torch.allclose(path.head.logits(x), x @ weight + bias, atol=1e-7)

    def test_scaled_outputs_are_probabilities_worth_something(self):
        features, labels = data(60, 1, 20, 3)
        path = linear_solver.ridge(features, labels, 3)
        flat, scaled = (
            F.cross_entropy(head.logits(features[:, 0]), labels) for head in (path.head, linear_solver.calibrate(path, labels))
        )
        assert scaled < 0.5 * flat

    def test_features_without_rank(self):
        features, labels = data(12, 1, 4, 2)
        path = linear_solver.ridge(torch.cat([features, features, torch.ones_like(features)], 2), labels, 2)
        assert torch.isfinite(path.head.weight).all()


class TestLogistic:
    def test_every_fit_is_a_minimum(self):
        features, labels = data(60, 2, 10, 3)
        x, targets = features.flatten(0, 1), labels.repeat_interleave(2)
        variance = x.var(0, correction=0)
        scale = (variance + variance.mean()).sqrt()
        strengths = (1.0, 0.1, 0.01)
        for strength, fit in zip(strengths, linear_solver.logistic_path(features, labels, 3, strengths), strict=True):
            assert (fit.strength, fit.converged) == (strength, True)
            weight = (fit.head.weight * scale).requires_grad_()
            bias = (fit.head.bias + fit.head.weight @ x.mean(0)).requires_grad_()
            logits = (x - x.mean(0)) / scale @ weight.T + bias
            loss = F.cross_entropy(logits, targets) + strength / 2 * weight.square().sum()
            loss.backward()
            assert max(weight.grad.abs().max(), bias.grad.abs().max()) < 2e-4

    def test_a_feature_that_hardly_varies_stays_small(self):
        """What is standardised away would rule the head as soon as the shared layers move."""
        features, labels = data(200, 1, 8, 2)
        faint = 1e-4 * torch.randn(200, 1, 1, dtype=torch.double, generator=torch.Generator().manual_seed(1))
        fits = list(linear_solver.logistic_path(torch.cat([features, faint], 2), labels, 2))
        assert all(fit.head.weight[:, -1].abs().max() < fit.head.weight.abs().max() for fit in fits)

    @given(st.floats(-50, 50), st.floats(0.01, 100))
    def test_raw_features_may_have_any_offset_and_unit(self, offset, unit):
        features, labels = data(24, 1, 4, 2)
        (plain,) = linear_solver.logistic_path(features, labels, 2, (0.1,))
        (moved,) = linear_solver.logistic_path(unit * features + offset, labels, 2, (0.1,))
        found = moved.head.logits((unit * features + offset)[:, 0])
        assert torch.allclose(found, plain.head.logits(features[:, 0]), atol=2e-2)

    def test_smoothed_labels(self):
        features, labels = data(40, 1, 4, 2)
        sharp, smooth = (next(linear_solver.logistic_path(features, labels, 2, (1e-4,), s)) for s in (0.0, 0.2))
        assert smooth.head.weight.norm() < sharp.head.weight.norm()
