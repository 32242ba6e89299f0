"""What a layer is, found by measuring: what decays, what normalises, what keeps statistics."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import nbtransfer as nt
from nbtransfer.core import catalog
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.errors import PlanError
from nbtransfer.pretrained import cards
from nbtransfer.pretrained.layer_traits import NormalisationFinder, decaying, exempt


class OtherBatchNorm(nn.BatchNorm2d):
    """No list of names knows it."""


class ScaleOnly(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        return x * self.scale


class OwnRms(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x):
        return self.weight * x / x.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-6)


LAYERS = [
    (nn.BatchNorm2d(8), True, True),
    (OtherBatchNorm(8), True, True),
    (nn.BatchNorm1d(8), True, True),
    (nn.BatchNorm3d(8), True, True),
    (nn.SyncBatchNorm(8), True, True),
    (nn.BatchNorm2d(8, affine=False), False, True),
    (nn.BatchNorm2d(8, track_running_stats=False), True, False),
    (nn.InstanceNorm2d(8, affine=True), True, False),
    (nn.LayerNorm(8), True, False),
    (nn.GroupNorm(2, 8), True, False),
    (nn.RMSNorm(8), True, False),
    (OwnRms(8), True, False),
    (ScaleOnly(8), False, False),
    (nn.Linear(8, 8), False, False),
    (nn.Conv2d(8, 8, 3, padding=1), False, False),
    (nn.Conv2d(8, 8, 1, groups=8, bias=False), False, False),
    (nn.PReLU(8), False, False),
    (nn.Embedding(9, 8), False, False),
    (nn.MultiheadAttention(8, 2), False, False),
]


@pytest.mark.parametrize(("layer", "normalises", "keeps"), LAYERS, ids=lambda value: str(value)[:40])
def test_normalisation_is_measured(layer, normalises, keeps):
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    found = NormalisationFinder().of(layer)
    assert (found.normalises, found.keeps_statistics) == (normalises, keeps)
    assert all(torch.equal(tensor, before[name]) for name, tensor in layer.state_dict().items())


def test_normalisation_is_measured_without_values():
    with torch.device("meta"):
        layer = OtherBatchNorm(8)
    assert NormalisationFinder().of(layer).keeps_statistics


@pytest.mark.parametrize(
    ("name", "normalisations"),
    [
        ("test_efficientnet_evos", True),
        ("resnetv2_50d_frn", True),
        ("test_efficientnet_gn", True),
        ("test_vit", True),
        ("test_convnext", True),
    ],
)
def test_normalisations_of_timm(name, normalisations):
    pytest.importorskip("timm")
    card = cards.card(f"timm/{name}")
    assert any(layer.normalises for layer in card.layers) is normalisations
    plan = FreezePlan.all().norm("affine_only").resolve(card)
    assert {layer.name for layer in card.layers if plan[layer.name].learns} == {x.name for x in card.layers if x.normalises}


def test_a_plan_that_leaves_nothing_to_learn_is_refused():
    card = catalog.card("alexnet")
    assert not any(layer.normalises for layer in card.layers)
    with pytest.raises(PlanError, match=r"no layer of alexnet among '\*' is a normalisation with weights of its own.*thaw"):
        FreezePlan.all().norm("affine_only").resolve(card)


class TestDecay:
    def names(self, net):
        exempt(net)
        return {f"{name}.{own}".lstrip(".") for name, module in net.named_modules() for own in decaying(module)}

    def test_only_weights_of_linear_and_convolution_layers(self):
        from torchvision import models

        nets = models.convnext_tiny(), models.vit_b_16(), models.swin_t(), models.resnet18()
        for net in nets:
            decaying_names = self.names(net)
            for name, parameter in net.named_parameters():
                owner = net.get_submodule(name.rpartition(".")[0])
                matrix = name.endswith("in_proj_weight") or (
                    isinstance(owner, (nn.Linear, nn.Conv2d)) and name.endswith(".weight")
                )
                assert (name in decaying_names) is matrix, (name, parameter.shape)

    @pytest.mark.parametrize(
        ("name", "spared"),
        [
            ("test_vit", ("cls_token", "pos_embed")),
            ("test_convnext", ("gamma",)),
            ("levit_128s", ("attention_biases",)),
            ("swin_tiny_patch4_window7_224", ("relative_position_bias_table",)),
            ("swinv2_cr_tiny_224", ("logit_scale", "tau")),
            ("resmlp_12_224", ("alpha", "beta", "ls1", "ls2")),
        ],
    )
    def test_what_timm_holds_besides(self, name, spared):
        timm = pytest.importorskip("timm")
        with torch.device("meta"):
            net = timm.create_model(name)
        decaying_names = self.names(net)
        ends = {parameter for parameter, _ in net.named_parameters() if parameter.rpartition(".")[2] in spared}
        assert ends
        assert not ends & decaying_names
        linear = {f"{n}.weight" for n, m in net.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))}
        assert linear <= decaying_names

    def test_lists_of_the_authors_are_honoured(self):
        class Net(nn.Sequential):
            def no_weight_decay(self):
                return {"0.weight", "2"}

        assert self.names(Net(nn.Linear(2, 2), nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)))) == {"1.weight"}

    def test_cards_and_plans_say_how_much_decays(self):
        card = nt.backbone("resnet18")
        norms = sum(layer.params for layer in card.layers if layer.normalises)
        assert sum(layer.decayed for layer in card.layers) == card.params - norms
        plan = FreezePlan.up_to(card, "layer3").resolve(card)
        assert sum(entry.decayed for entry in plan.values()) == sum(x.decayed for x in card.layers if x.stage == "layer4")
