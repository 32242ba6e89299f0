"""What a cache would cost, and what it would save."""

from __future__ import annotations

import pytest
import torch

from nbtransfer.engine.cache import cost_model
from nbtransfer.engine.cache.cost_model import Costs
from nbtransfer.engine.device import Device
from nbtransfer.engine.model.freezing import digest
from tests.support.sessions import new_session


class TestCosts:
    @pytest.mark.parametrize("nearer", [0, 2])
    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_measuring_leaves_no_trace(self, frozen, nearer, precision):
        run = new_session(frozen).context
        run.model.apply_plan(frozen.freeze.resolve(run.card))
        run.model.train()
        before = digest(run.model.state_dict().values()), torch.random.get_rng_state()
        found = cost_model.measure(
            run.model,
            run.data.train.images,
            0,
            nearer,
            4,
            Device(run.device.torch, precision),
            None,
        )
        assert (found.nearer, found.before > 0) == (nearer, nearer > 0)
        assert min(found.decode, found.rest, found.exact, found.judge, found.learn, found.read, found.write) > 0
        assert digest(run.model.state_dict().values()) == before[0]
        assert torch.equal(torch.random.get_rng_state(), before[1])
        assert run.model.training
        assert all(p.grad is None for p in run.model.parameters())

    def test_only_images_that_are_to_be_decoded_cost_decoding(self, frozen):
        session = new_session(frozen)
        images = session.context.data.train.images
        assert list(images.undecoded) == list(range(27))
        for number in range(27):
            assert isinstance(images[0, number][1], torch.Tensor)
        assert images.undecoded == []
        assert cost_model.measure(session.context.model, images, 0, 0, 4, session.context.device, None).decode == 0

    def test_arithmetic(self):
        made = Costs({}, 0, 1.0, True, 0.0, 10.0, 20.0, 2.0, 6.0, 0.5, 0.25)
        assert made.without_cache(5, 100, 20) == 120 + 5 * (100 * 16 + 20 * 12)
        assert made.build(100, 20, 2) == 120 + 200 * 10.25 + 20 * 20.25
        assert made.with_cache(5, 100, 20) == 5 * (100 * 6.5 + 20 * 2.5)

    def test_what_is_kept_of_a_nearer_boundary_is_not_computed_for_a_cache(self):
        made = Costs({}, 2, 1.0, True, 7.0, 3.0, 4.0, 2.0, 6.0, 0.5, 0.25)
        assert made.without_cache(5, 100, 20) == 120 + 5 * (100 * 16 + 20 * 12)
        assert made.build(100, 20, 2) == 200 * 3.25 + 20 * 4.25
