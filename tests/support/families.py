"""One architecture of each family, for what must hold for all of them."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torchvision import models

from nbtransfer.core import catalog
from nbtransfer.core.backbone import InputSpec
from nbtransfer.pretrained import registry, timm_models, torchvision_models
from nbtransfer.pretrained.measure import card_of

# One real member of each family, the smallest, and the size of image it is tried with.
SMALLEST = {
    "alexnet": 64, "convnext_tiny": 64, "densenet121": 64, "efficientnet_b0": 64, "efficientnet_v2_s": 64, "googlenet": 64,
    "inception_v3": 96, "maxvit_t": 224, "mnasnet0_5": 64, "mobilenet_v2": 64, "mobilenet_v3_small": 64, "regnet_y_400mf": 64,
    "resnet18": 64, "shufflenet_v2_x0_5": 64, "squeezenet1_1": 64, "swin_t": 64, "swin_v2_t": 64, "vgg11": 64, "vgg11_bn": 64,
    "vit_b_32": 64,
}  # fmt: skip
TIMM = {
    "efficientnet_lite0": 64, "timm/efficientnet_b0": 64, "timm/resnet10t": 64, "timm/mobilenetv3_small_050": 64,
    "timm/convnext_atto": 64, "timm/vit_tiny_patch16_224": 224, "timm/regnetz_b16": 64, "timm/levit_128s": 224,
    "timm/pit_ti_224": 224,
}  # fmt: skip
# The smallest members of these families have tens of millions of parameters. These have thousands, and the same modules.
TINY = {
    "tiny_vit": lambda: models.VisionTransformer(64, patch_size=16, num_layers=3, num_heads=2, hidden_dim=32, mlp_dim=64),
    "tiny_swin": lambda: models.SwinTransformer([4, 4], 16, depths=[1, 1, 2, 1], num_heads=[1, 2, 4, 8], window_size=[4, 4]),
}
FAMILIES = {"tiny_vit": "vision_transformer", "tiny_swin": "swin_transformer"}
SIZES = {**dict.fromkeys(TINY, 64), **SMALLEST, **TIMM}
# One of each layout of activations: (N, C, H, W), tokens, (N, H, W, C), and a model of timm that is spliced.
ONE_PER_LAYOUT = {"shufflenet_v2_x0_5", "tiny_vit", "tiny_swin", "timm/resnet10t"}
SPEC = InputSpec(64, 64, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# Their classifier gave way to average pooling; the others run as timm wrote them, without their classifier.
HEAD_REPLACED = {"alexnet", "vgg11", "vgg11_bn", "squeezenet1_1"}
SPLICED = set(TIMM) - {"efficientnet_lite0", "timm/efficientnet_b0"}


def built(name):
    """The original model, its backbone and card."""
    torch.manual_seed(0)
    if name in TINY:
        net, family, origin = TINY[name](), FAMILIES[name], "torchvision"
    elif name in SMALLEST:
        net = torchvision_models.build(name, SMALLEST[name])
        family, origin = torchvision_models.family(name), "torchvision"
    else:
        net = timm_models.build(name)
        family, origin = registry.TIMM_CUTS.get(type(net).__name__, "timm"), "timm"
    spec = SPEC.at(SIZES[name])
    backbone = registry.cut_anew(family, net, spec.shape)
    card = card_of(name, family, origin, copy.deepcopy(backbone), spec, ())
    return net, backbone, card


def register_tiny(patch):
    """Let recipes name tiny backbones, too."""
    card, build = catalog.card, torchvision_models.build
    cards = {name: replace(built(name)[2], fixed_size=True) for name in TINY}
    patch.setattr(catalog, "card", lambda name: cards.get(name) or card(name))
    patch.setattr(torchvision_models, "build", lambda name, size: TINY[name]() if name in TINY else build(name, size))


def each(names=SIZES, also=frozenset()):
    """Architectures as parameters of a test. Beyond one of each layout they are for `make test-all`."""
    return [name if name in ONE_PER_LAYOUT | also else pytest.param(name, marks=pytest.mark.slow) for name in names]
