"""Which precision is chosen, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import nbtransfer as nt
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.engine import precision
from nbtransfer.engine.data import batches
from nbtransfer.engine.device import Device, choose, why_not_bf16
from nbtransfer.engine.model.freezing import digest
from nbtransfer.engine.model.transfer_model import build
from tests.support.sessions import new_session
from tests.support.training import decided, told


class TestPrecision:
    def test_it_is_measured_and_said(self, recipe):
        events = told(replace(recipe, precision="auto", epochs=1))
        found = decided(events, "precision")
        assert found[0].choice == events[0].precision
        assert found[0].reason.startswith(("bf16 takes", "cpu here"))

    @pytest.mark.parametrize(("seconds", "choice"), [((1.0, 0.5), "bf16"), ((1.0, 0.95), "fp32")])
    def test_the_faster_one(self, recipe, monkeypatch, seconds, choice):
        card = nt.backbone(recipe.backbone)
        model, _ = build(recipe, card)
        before, plan = digest(model.state_dict().values()), FreezePlan.none().resolve(card)
        images = batches.prepare(recipe, model.spec, torch.device("cpu")).val.images
        times = iter(seconds)
        monkeypatch.setattr(precision, "why_not_bf16", lambda _: None)
        monkeypatch.setattr(precision, "time_call", lambda work, *_, **__: (work(), next(times)))
        device, decision = precision.measure_precision(model, images, Device(torch.device("cpu"), "fp32"), plan)
        assert (device.precision, decision.choice) == (choice, choice)
        assert "a training step" in decision.reason
        assert digest(model.state_dict().values()) == before
        assert all(p.grad is None for p in model.parameters())

    def test_where_the_hardware_cannot(self, recipe, monkeypatch):
        monkeypatch.setattr(precision, "why_not_bf16", lambda _: "this one cannot")
        events = told(replace(recipe, precision="auto", epochs=1))
        assert events[0].precision == "fp32"
        assert decided(events, "precision")[0].reason == "this one cannot"

    def test_where_it_cannot_be_known(self, monkeypatch):
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
        assert "2.11 and newer can" in why_not_bf16(torch.device("cpu"))

    def test_what_was_measured_before_is_not_measured_again(self, recipe):
        session = new_session(recipe)
        auto, plan = replace(recipe, precision="auto"), FreezePlan.none().resolve(session.context.card)
        images = session.context.data.val.images
        device, said = precision.choose_precision(auto, session.context.model, images, session.context.device, plan, "bf16")
        assert (device.precision, said) == ("bf16", [])

    def test_asked_for(self):
        assert choose("cpu", "bf16").precision == "bf16"
