"""Activations as they are kept, and read again."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nbtransfer.core import events as ev
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.engine.cache import activations
from nbtransfer.engine.evaluate import predict_all
from tests.support.sessions import new_session
from tests.support.training import STAGES, of


class TestLayout:
    @pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
    def test_a_batch_that_lies_otherwise_is_brought_into_order(self, memory):
        batch = torch.rand(4, 3, 5, 2)
        layout = activations.Layout.of(batch.contiguous(memory_format=memory), None)
        for given in (
            batch,
            batch.contiguous(memory_format=torch.channels_last),
            batch.expand(2, 4, 3, 5, 2)[1],
            batch[:, :, :, :2],
        ):
            assert torch.equal(layout.batch(layout.rows(given)), batch)


class TestValidation:
    def test_judging_takes_validation_from_the_cache_only_where_it_holds(self, frozen, paths):
        session = new_session(frozen, paths)
        list(session.run_phase(0))
        assert isinstance(session.cache.exact_val(), activations.CachedBatches)
        with torch.no_grad():
            session.context.model.backbone.stem.conv1[0].weight += 1e-6
        assert session.cache.exact_val() is session.context.data.val

    @pytest.mark.parametrize("stage", STAGES[-2:])
    def test_validation_is_kept_in_fp32_and_scored_from_there(self, frozen, monkeypatch, stage):
        """Whatever the precision of the run: the last scores are those of whoever loads the model, and cost no second pass."""
        recipe = replace(frozen, freeze=FreezePlan.up_to("shufflenet_v2_x0_5", stage), precision="bf16", probe="sgd")
        session = new_session(recipe)
        list(session.run_phase(0))
        kept = session.cache.exact_val()
        assert isinstance(kept, activations.CachedBatches)
        assert kept.activations.layout.computed == "float32"
        found = [
            predict_all(session.context.model, batches, session.context.device.in_fp32())
            for batches in (kept, session.context.data.val)
        ]
        assert found[0].probabilities == found[1].probabilities
        monkeypatch.setattr(session.context.data.val, "epoch", None)  # the images are not looked at again
        assert of(session.judge_result(), ev.Evaluated)[0].evaluation.loss == pytest.approx(found[1].loss)
