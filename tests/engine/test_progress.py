"""Sums over an epoch."""

from __future__ import annotations

import pytest
import torch

from nbtransfer.engine.progress import Meter


def batch(meter, images, loss):
    meter.add(torch.zeros(images, 2), torch.zeros(images, dtype=torch.long), torch.tensor(loss))


def test_a_small_last_batch_does_not_make_the_curve_jump():
    meter = Meter.on(torch.device("cpu"))
    batch(meter, 8, 1.0)
    assert meter.recent_loss(8) == 1.0
    batch(meter, 2, 6.0)
    assert meter.recent_loss(8) == pytest.approx((8 * 1.0 + 2 * 6.0) / 10)
    batch(meter, 8, 0.5)
    assert meter.recent_loss(8) == 0.5


def test_a_last_batch_that_is_left_out_repeats_the_loss_before():
    meter = Meter.on(torch.device("cpu"))
    batch(meter, 8, 1.5)
    assert (meter.recent_loss(8), meter.recent_loss(8)) == (1.5, 1.5)
