"""Learning rates over a phase."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nbtransfer.engine.model.optimiser import rate


class TestSchedules:
    def test_one_cycle_is_that_of_torch(self):
        optimiser = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=1.0)
        theirs = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=1.0, total_steps=101)
        for step in range(101):
            lr, momentum = rate("one_cycle", step / 100)
            group = optimiser.param_groups[0]
            # theirs rounds the end of the rise to a whole step
            assert lr == pytest.approx(group["lr"], abs=0.03)
            assert momentum == pytest.approx(group["betas"][0], abs=0.005)
            optimiser.step()
            if step < 100:
                theirs.step()

    @given(st.sampled_from(["one_cycle", "cosine", "constant"]), st.floats(0, 1))
    def test_rates_stay_within_bounds(self, name, done):
        lr, momentum = rate(name, done)
        assert 0 <= lr <= 1
        assert 0.8 <= momentum <= 0.95

    def test_peaks_and_ends(self):
        assert rate("one_cycle", 0.3)[0] == pytest.approx(1)
        assert rate("cosine", 0.1)[0] == pytest.approx(1)
        assert rate("cosine", 1.0)[0] == pytest.approx(0)
        assert rate("constant", 0.7) == (1.0, 0.9)
