"""The model in training and out of it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nbtransfer.core import catalog
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.pretrained import registry


def made(name):
    card = catalog.card(name)
    return TransferModel(registry.build(card, None).module, card, card.input, ("a", "b"))


@pytest.fixture(scope="module")
def resnet():
    return made("resnet18")


def training(model):
    return {name for name, module in model.backbone.named_modules() if module.training}


def test_a_plan_survives_every_call_of_train(resnet):
    resnet.apply_plan(FreezePlan.up_to("resnet18", "layer2").resolve(resnet.card))
    for call in (resnet.train, resnet.eval, lambda: resnet.train(True), resnet.train):
        call()
    names = training(resnet)
    assert "layer3.0.bn1" in names
    assert not any(name.startswith(("stem", "layer1", "layer2")) for name in names)
    learning = {name for name, p in resnet.named_parameters() if p.requires_grad}
    assert all(name.startswith(("backbone.layer3", "backbone.layer4", "head")) for name in learning)


def test_frozen_statistics_with_weights_that_learn(resnet):
    resnet.apply_plan(FreezePlan.none().norm("frozen").resolve(resnet.card))
    resnet.train()
    norms = [m for m in resnet.backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not any(m.training for m in norms)
    assert all(m.weight.requires_grad for m in norms)
    before = [m.running_mean.clone() for m in norms]
    resnet(torch.rand(2, 3, 64, 64))
    assert all(torch.equal(m.running_mean, b) for m, b in zip(norms, before, strict=True))


def test_affine_only(resnet):
    resnet.apply_plan(FreezePlan.all().norm("affine_only").resolve(resnet.card))
    resnet.train()
    learning = {name for name, p in resnet.named_parameters() if p.requires_grad}
    assert learning == {n for n in dict(resnet.named_parameters()) if "bn" in n or "downsample.1" in n or n.startswith("head")}
    assert not any(m.training for m in resnet.backbone.modules() if isinstance(m, nn.BatchNorm2d))


def test_dropout_in_a_frozen_stage_is_off():
    model = made("efficientnet_b0")
    model.apply_plan(FreezePlan.up_to("efficientnet_b0", "stage5").resolve(model.card))
    model.train()
    depths = {n: m.training for n, m in model.backbone.named_modules() if type(m).__name__ == "StochasticDepth"}
    assert {n.split(".")[0] for n, on in depths.items() if on} == {"stage6", "stage7"}


def test_a_frozen_backbone_gives_the_same_features_in_training(resnet):
    resnet.apply_plan(FreezePlan.all().resolve(resnet.card))
    x = torch.rand(4, 3, 64, 64)
    with torch.no_grad():
        resnet.eval()
        expected = resnet.backbone(x)
        resnet.train()
        assert torch.equal(resnet.backbone(x), expected)


def test_a_new_head_asks_nothing_of_the_shared_layers(resnet):
    assert torch.count_nonzero(resnet.head.weight) == 0
    assert torch.equal(resnet(torch.rand(2, 3, 64, 64)), torch.zeros(2, 2))
