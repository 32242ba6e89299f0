"""What learns, what decays and what normalises, looked at from outside in models of torchvision and timm."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from benchmarks.truth.claim import Claim
from nbtransfer.core import catalog
from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.task import Sample, TaskCard
from nbtransfer.engine.device import Device
from nbtransfer.engine.model.optimiser import build_optimiser, set_rates
from nbtransfer.engine.model.step import forward_loss
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.pretrained import cards, registry
from nbtransfer.pretrained.layer_traits import decaying, exempt

LARGEST = 26e6
TASK = TaskCard("x", "folder", "/x", ("a", "b"), tuple(Sample(f"{n}.png", n % 2, "train", "") for n in range(4)))
PHASES, IMAGES = 15, 4
OF_TIMM = (
    "test_resnet", "test_vit", "test_convnext", "test_efficientnet", "test_efficientnet_evos", "test_efficientnet_gn",
    "test_byobnet", "resnetv2_50d_frn", "resnet10t", "mobilenetv3_small_050", "levit_128s", "pit_ti_224", "regnetz_b16",
)  # fmt: skip


def _models(*, quick: bool) -> Iterator[tuple[BackboneCard, int]]:
    """Cards with the size of image they are tried at."""
    built_in = (catalog.card(name) for name in catalog.names())
    small = sorted((card for card in built_in if card.params <= LARGEST), key=lambda card: card.params)
    for card in small[:3] if quick else small:
        yield card, card.input.size if card.fixed_size else max(card.min_size, 64)
    for name in OF_TIMM[:1] if quick else OF_TIMM:
        card = cards.card(f"timm/{name}")
        yield card, card.input.size


def _plan(card: BackboneCard, chance: random.Random) -> FreezePlan:
    """Some stages and layers frozen, with rates and modes of normalisation."""
    plan = FreezePlan.all() if chance.random() < 0.5 else FreezePlan.none()
    for _ in range(chance.randint(0, 3)):
        name = chance.choice([*card.stages, chance.choice(card.layers).name])
        plan = plan.freeze(name) if chance.random() < 0.5 else plan.thaw(name, lr=chance.choice([None, 0.1, 1.0]))
    if chance.random() < 0.3:
        plan = plan.norm("frozen")
    elif chance.random() < 0.2 and any(layer.normalises for layer in card.layers):
        plan = plan.norm("affine_only")
    return plan


def frozen_layers(*, quick: bool) -> Claim:
    """Two steps in each phase; the bits of every tensor of a frozen layer are compared with its copy from before."""
    chance, device = random.Random(0), Device(torch.device("cpu"), "fp32")
    models = phases = failed = idle = 0
    for card, size in _models(quick=quick):
        built = registry.build(card, None, seed=models, size=size)
        model = TransferModel(built.module, card, card.input.at(size), TASK.classes)
        nn.init.normal_(model.linear_head.weight, std=0.1)
        recipe = Recipe(task=TASK, backbone=card.name, weights=None, optimiser=chance.choice(["adamw", "sgd", "adam"]))
        optimiser = build_optimiser(model, recipe)
        start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        models += 1
        for _ in range(2 if quick else PHASES):
            plan = _plan(card, chance).resolve(card)
            model.apply_plan(plan)
            optimiser.state.clear()
            if not all(tensor.isfinite().all() for tensor in model.state_dict().values()):
                model.load_state_dict(start)  # trained on noise, some end in NaN, which no step changes
            before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            for step in range(2):
                torch.manual_seed(step)
                model.train()
                set_rates(optimiser, 0.01, 0.9, plan)
                optimiser.zero_grad()
                images, labels = torch.randn(IMAGES, 3, *model.spec.shape), torch.arange(IMAGES) % 2
                forward_loss(model, images, labels, device)[1].backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            same = {name: _same_bits(tensor, before[name]) for name, tensor in model.state_dict().items()}
            frozen = {name for name, entry in plan.items() if not entry.learns}
            owned = {f"backbone.{layer}.{own}" for layer in frozen for own, _ in _own(model, layer)}
            failed += any(not same[name] for name in owned & same.keys())
            idle += all(same.values())
            phases += 1
    return Claim(
        "frozen layers do not change, statistics included", "copies of every tensor, compared bit for bit",
        f"{phases} phases of {models} models", "all equal; what learns did change", failed + idle,
    )  # fmt: skip


def _same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether no bit differs; NaN equals nothing, not even itself."""
    return torch.equal(*(tensor.contiguous().flatten().view(torch.uint8) for tensor in (a, b)))


def _own(model: TransferModel, layer: str) -> Iterator[tuple[str, torch.Tensor]]:
    return iter(model.backbone.tensors_of(layer).items())


def weight_decay(*, quick: bool) -> Claim:
    """Every parameter of many architectures: what decays is a weight of a linear or convolution layer that nobody exempts."""
    import timm

    names = timm.list_models()[:: 200 if quick else 8]
    parameters = failed = models = 0
    for name in names:
        try:
            with torch.device("meta"):
                net = timm.create_model(name)
        except (RuntimeError, NotImplementedError):
            continue  # its constructor reads values
        listed: Any = getattr(net, "no_weight_decay", set)()
        exempt(net)
        models += 1
        for path, module in net.named_modules():
            decays = set(decaying(module))
            for own, parameter in module.named_parameters(recurse=False):
                full = f"{path}.{own}".lstrip(".")
                multiplies = (
                    isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)) and own == "weight"
                )
                spared = any(full == given or full.startswith(f"{given}.") for given in listed)
                multiplies |= type(module).__name__ in ("CondConv2d", "MultiQueryAttentionV2") and parameter.ndim > 1
                failed += (own in decays) is not (multiplies and not spared)
                parameters += 1
    return Claim(
        "weight decay is for weights of linear and convolution layers", "timm's modules and lists of exemptions",
        f"{parameters:,} parameters of {models} architectures", "all as claimed", failed,
    )  # fmt: skip


def normalisation(*, quick: bool) -> Claim:
    """Which layers keep statistics, by running each model in training mode."""
    layers = failed = models = 0
    for card, size in _models(quick=quick):
        if models >= (3 if quick else 30):
            break
        module = registry.build(card, None, size=size).module
        before = {name: buffer.clone() for name, buffer in module.named_buffers()}
        with torch.no_grad():
            module.train()(torch.randn(2, 3, *card.input.at(size).shape))
        changed = {name.rpartition(".")[0] for name, buffer in module.named_buffers() if not torch.equal(buffer, before[name])}
        failed += len(changed ^ {layer.name for layer in card.layers if layer.keeps_statistics})
        layers, models = layers + len(card.layers), models + 1
    return Claim(
        "cards say which layers keep statistics", "buffers before and after a pass in training mode",
        f"{layers:,} layers of {models} models", "all as claimed", failed,
    )  # fmt: skip
