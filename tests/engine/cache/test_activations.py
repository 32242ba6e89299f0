"""Activations as they are kept, and read again."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nbtransfer.core import events as ev
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.engine.cache import activations
from nbtransfer.engine.cache.boundary import Boundary
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


def exact_val(session):
    """What `judge_result` scores the best model on."""
    work = session.cache.exact_val()
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


class TestValidation:
    def test_judging_takes_validation_from_the_cache_only_of_stages_that_never_learn(self, frozen):
        session = new_session(frozen)
        list(session.run_phase(0))
        assert isinstance(exact_val(session), activations.CachedBatches)
        session = new_session(replace(frozen, strategy="lp_ft", epochs=2))
        list(session.run_phase(0))
        assert exact_val(session) is session.context.data.val

    def test_without_room_for_them_it_is_scored_from_the_images_and_that_is_said(self, frozen, monkeypatch):
        session, other = new_session(frozen), new_session(frozen)
        for each in (session, other):
            list(each.run_phase(0))

        def full(_boundary):
            raise OSError(28, "No space left on device")
            yield

        session.cache._current = None  # as after a resume
        monkeypatch.setattr(Boundary, "activations", full)
        told = list(session.judge_result())
        assert [str(event.message) for event in of(told, ev.Warned)] == [
            "the activations of stage4 cannot be kept ([Errno 28] No space left on device)"
        ]
        assert of(told, ev.Evaluated) == of(other.judge_result(), ev.Evaluated)

    def test_of_weights_that_changed_nothing_is_kept(self, frozen):
        session = new_session(frozen)
        list(session.run_phase(0))
        before = exact_val(session).activations.rows.clone()
        with torch.no_grad():
            session.context.model.backbone.stem.conv1[0].weight += 1e-2
        assert not torch.equal(exact_val(session).activations.rows, before)

    @pytest.mark.parametrize("stage", STAGES[-2:])
    def test_validation_is_kept_in_fp32_and_scored_from_there(self, frozen, monkeypatch, stage):
        """Whatever the precision of the run: the last scores are those of whoever loads the model, and cost no second pass."""
        recipe = replace(frozen, freeze=FreezePlan.up_to("shufflenet_v2_x0_5", stage), precision="bf16", probe="sgd")
        session = new_session(recipe)
        list(session.run_phase(0))
        kept = exact_val(session)
        assert isinstance(kept, activations.CachedBatches)
        assert kept.activations.layout.computed == "float32"
        found = [
            predict_all(session.context.model, batches, session.context.device.in_fp32())
            for batches in (kept, session.context.data.val)
        ]
        assert found[0].probabilities == found[1].probabilities
        monkeypatch.setattr(session.context.data.val, "epoch", None)  # the images are not looked at again
        assert of(session.judge_result(), ev.Evaluated)[0].evaluation.loss == pytest.approx(found[1].loss)
