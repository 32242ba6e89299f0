"""The contract of every family: what a cut into stages must hold, whatever the architecture."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torchvision import models

from nbtransfer.core import catalog
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.engine.cache.activations import Layout
from nbtransfer.engine.cache.prefix import Prefix
from nbtransfer.engine.device import Device
from nbtransfer.engine.model.freezing import digest
from nbtransfer.engine.model.optimiser import build_optimiser, set_rates
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.pretrained import torchvision_models
from nbtransfer.pretrained.catalog import built_in_names, make_card
from nbtransfer.pretrained.families import CUTS
from tests.support.families import HEAD_REPLACED, SIZES, SMALLEST, SPEC, SPLICED, built, each


@pytest.fixture(scope="module", params=each())
def member(request):
    name = request.param
    return name, *built(name), torch.rand(2, 3, *[SIZES[name]] * 2)


def test_every_family_of_torchvision_is_here():
    families = {torchvision_models.family(name) for name in torchvision_models.names()}
    assert families == {torchvision_models.family(name) for name in SMALLEST}
    assert families | {"timm_efficientnet"} == set(CUTS)


def test_stages_cover_every_parameter_once(member):
    _, _, backbone, card, _ = member
    owned = [tensor for layer in card.layers for tensor in backbone.tensors_of(layer.name)]
    assert len(set(owned)) == len(owned)
    assert {name for name, _ in backbone.named_parameters()} <= set(owned)
    assert [layer.stage for layer in card.layers] == sorted((x.stage for x in card.layers), key=card.stages.index)
    assert {layer.stage for layer in card.layers} == set(card.stages)


def test_stages_run_in_forward_order(member):
    _, _, backbone, card, x = member
    seen, modules = [], dict(backbone.net.named_modules())
    hooks = [
        modules[layer.name].register_forward_pre_hook(lambda *_, stage=layer.stage: seen.append(stage))
        for layer in card.layers
        if layer.name in modules
    ]
    with torch.no_grad():
        backbone.eval()(x)
    for hook in hooks:
        hook.remove()
    positions = [card.stages.index(stage) for stage in seen]
    # Some kernels read a layer's parameters without calling it; stages that are called must come in order.
    assert positions == sorted(positions)
    assert len(set(positions)) >= len(card.stages) - 1


@pytest.mark.parametrize("member", each(name for name in SIZES if name not in HEAD_REPLACED | SPLICED), indirect=True)
def test_cut_computes_what_the_original_does(member):
    """What reaches the original classifier is what the backbone gives."""
    name, _, _, card, x = member
    net, backbone, _ = built(name)
    if card.family in ("googlenet", "inception"):
        net.transform_input = True
    last = [m for m in net.modules() if isinstance(m, nn.Linear)][-1] if card.origin == "torchvision" else net.get_classifier()
    reached = []
    last.register_forward_pre_hook(lambda _, args: reached.append(args[0]))
    with torch.no_grad():
        net.eval()(x)
        features = backbone.eval()(x)
    assert torch.allclose(features, reached[-1].reshape(features.shape), rtol=1e-5, atol=1e-5)


def test_what_is_stored_of_each_layer_can_be_put_back(member):
    _, _, backbone, card, _ = member
    model = TransferModel(backbone, card, SPEC, ("a", "b"))
    stored = {name for layer in (*(x.name for x in card.layers), "head") for name in model.tensors(layer)}
    assert stored == set(model.state_dict())


def test_features_are_finite_and_as_wide_as_the_card_says(member):
    _, _, backbone, card, x = member
    with torch.no_grad():
        features = backbone.eval()(x)
    assert features.shape == (2, card.width)
    assert torch.isfinite(features).all()
    assert features.std() > 0


def test_a_run_can_be_taken_up_at_every_boundary(member):
    """Running the stages in two parts gives the same, and the second part leaves what it was handed alone."""
    _, _, backbone, card, x = member
    backbone.eval()
    with torch.no_grad():
        whole = backbone(x)
        for boundary in range(1, len(card.stages)):
            handed = backbone.run(x, 0, boundary)
            before = handed.clone()
            assert torch.equal(backbone.pool(backbone.run(handed, boundary)), whole)
            assert torch.equal(handed, before)


def test_a_frozen_prefix_stays_bit_for_bit(member):
    """Three steps with any number of stages frozen: parameters and buffers of those are untouched, the others learn."""
    _, _, backbone, card, x = member
    model = TransferModel(copy.deepcopy(backbone), card, SPEC, ("a", "b"))
    nn.init.normal_(model.head.weight, std=0.01)
    optimiser = build_optimiser(model, _Settings())
    for stage in card.stages:
        plan = FreezePlan.up_to(card, stage).resolve(card)
        model.apply_plan(plan)
        frozen = [n for n, p in plan.items() if not p.learns]
        learning = [n for n, p in plan.items() if p.learns]
        before = {n: digest(model.tensors(n).values()) for n in plan}
        train_three_steps(model, optimiser, plan, x)
        after = {n: digest(model.tensors(n).values()) for n in plan}
        assert [n for n in frozen if after[n] != before[n]] == []
        assert not learning or any(after[n] != before[n] for n in learning)
        assert all(torch.isfinite(p).all() for p in model.parameters())


def train_three_steps(model, optimiser, plan, x):
    for _ in range(3):
        model.train()
        set_rates(optimiser, 1e-4, 0.9, plan)
        loss = nn.functional.cross_entropy(model(x), torch.tensor([0, 1]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    optimiser.state.clear()


class _Settings:
    optimiser, weight_decay = "adamw", 0.01


@pytest.mark.parametrize("name", each(built_in_names(), also={"resnet18", "efficientnet_lite0"}))
def test_the_catalogue_is_what_the_libraries_say(name):
    """Made again from the installed torchvision and timm, without memory for parameters; also covers the large models."""
    assert make_card(name) == catalog.card(name)


def test_original_classifiers_have_as_many_outputs_as_the_card_has_categories():
    for name in ("resnet18", "vgg11", "squeezenet1_1"):
        weights = models.get_model_weights(name).DEFAULT
        assert catalog.card(name).weights[0].categories == len(weights.meta["categories"]) == 1000


def test_activations_are_kept_as_they_are_at_every_boundary(member):
    """From memory they come back with the same numbers in the same strides, so what follows computes the same bits."""
    _, _, backbone, card, x = member
    model = TransferModel(backbone, card, SPEC, ("a", "b")).eval()
    with torch.no_grad():
        for memory in (torch.contiguous_format, torch.channels_last):
            given = x.contiguous(memory_format=memory)
            whole = model.features(given)
            for boundary in range(1, len(card.stages) + 1):
                handed = model.features(given, 0, boundary)
                layout = Layout.of(handed, None)
                back = layout.batch(layout.rows(handed)[torch.tensor([0, 1])])
                assert torch.equal(back, handed)
                assert torch.equal(model.features(back, boundary), whole)
                assert torch.equal(layout.batch(layout.rows(handed).flip(0)), handed.flip(0))


def test_folding_changes_next_to_nothing(member):
    """Also with the statistics, weights and biases that normalisation layers have after training."""
    name, _, backbone, card, x = member
    model = TransferModel(copy.deepcopy(backbone), card, SPEC, ("a", "b")).eval()
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -0.1, 0.1),
                (module.running_var, 0.5, 2),
                (module.weight, 0.5, 1.5),
            ):
                tensor.data.uniform_(low, high, generator=generator)
    prefix = Prefix(model, 0, len(card.stages), fold=True)
    before = digest(model.state_dict().values())
    with torch.no_grad():
        expected, found = model.features(x), prefix(x, Device(torch.device("cpu"), "fp32"))
    assert ((found - expected).norm() / expected.norm()).item() <= 1e-4
    assert digest(model.state_dict().values()) == before
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    before_their_convolution = {"densenet121": 0.4, "maxvit_t": 0.6}
    assert (prefix.folding is not None) is bool(norms)
    if norms:
        assert prefix.folding.is_accepted
        assert prefix.folding.layers >= before_their_convolution.get(name, 0.9) * len(norms)
