"""Attributions, against their definitions written down anew."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.truth.claim import Claim
from nbtransfer.attribution.compare import compare
from nbtransfer.attribution.inputs import integrated_gradients
from nbtransfer.core import catalog
from nbtransfer.engine.data.preprocess import Normalise
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.pretrained import registry

CLASSES = ("a", "b", "c")
NAMES = (
    "resnet18", "shufflenet_v2_x0_5", "mobilenet_v2", "mobilenet_v3_small", "squeezenet1_1", "mnasnet0_5", "efficientnet_b0",
    "regnet_y_400mf", "densenet121", "googlenet", "alexnet", "convnext_tiny", "swin_t", "vgg11",
)  # fmt: skip
STEPS = 16


def _pair(name: str, seed: int) -> tuple[TransferModel, TransferModel, torch.Tensor]:
    """Two models that differ everywhere, and an image."""
    card = catalog.card(name)
    source = torch.Generator().manual_seed(seed)
    size = max(card.min_size, 64)
    models = []
    for number in range(2):
        built = registry.build(card, None, seed=seed + number, size=size)
        model = TransferModel(built.module, card, card.input.at(size), CLASSES)
        with torch.no_grad():
            for tensor in model.head.parameters():
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=source))
            for module in model.backbone.modules():
                if getattr(module, "running_mean", None) is not None:
                    module.momentum = 1.0
            model.backbone.train()(torch.randn(2, 3, size, size, generator=source))
        models.append(model.eval())
    coarse = torch.rand(1, 3, 8, 8, generator=source)
    return models[0], models[1], (F.interpolate(coarse, size=size, mode="bilinear") * 255).to(torch.uint8)


def split_of_the_change(*, quick: bool) -> Claim:
    """The two Shapley values, from the four margins that two backbones and two heads make."""
    names, worst, cases = NAMES[:1] if quick else NAMES, 0.0, 0
    for name in names:
        before, after, pixels = _pair(name, 3)
        for target in range(len(CLASSES)):
            change = compare(before, after, pixels, [target])[0].change

            def margin(body: TransferModel, head: TransferModel, target: int = target, pixels: torch.Tensor = pixels) -> float:
                with torch.no_grad():
                    features = body.backbone(Normalise(body.spec, torch.device("cpu"))(pixels)).double()
                    logits = copy.deepcopy(head.head).double()(features)[0]
                return float(logits[target] - logits.mean())

            m00, m01, m10, m11 = (margin(b, h) for b in (before, after) for h in (before, after))
            shared, head = ((m10 - m00) + (m11 - m01)) / 2, ((m01 - m00) + (m11 - m10)) / 2
            scale = max(1.0, abs(shared), abs(head), abs(m11))
            worst = max(worst, *(abs(a - b) / scale for a, b in ((change.shared, shared), (change.head, head))))
            worst, cases = max(worst, abs(shared + head - (m11 - m00)) / scale), cases + 1
    return Claim(
        "what shared layers and head contributed adds up to the change", "Shapley values from all four combinations",
        f"{cases} images and classes of {len(names)} models", f"relative difference at most {worst:.1e}", int(worst > 1e-5),
    )  # fmt: skip


def integrated_gradients_of_pixels(*, quick: bool) -> Claim:
    """The path integral by Gauss–Legendre, gradient by gradient, and how much of the difference the map accounts for."""
    names, worst, missing = ("shufflenet_v2_x0_5",) if quick else NAMES, 0.0, 0.0
    nodes, shares = np.polynomial.legendre.leggauss(STEPS)
    for name in names:
        _, model, pixels = _pair(name, 5)
        # In double precision: with random weights, what differs in the last bits of fp32 grows from layer to layer.
        model, image = model.double(), Normalise(model.spec, torch.device("cpu"))(pixels).double()
        ours = integrated_gradients(model, image, torch.zeros_like(image), 1, STEPS)
        total = torch.zeros_like(image, dtype=torch.float64)
        for node, share in zip((nodes + 1) / 2, shares / 2, strict=True):
            point = (node * image).detach().requires_grad_()
            logits = model(point)[0]
            total += share * torch.autograd.grad(logits[1] - logits.mean(), point)[0].double()
        expected = (total * image.double()).sum(1)[0]
        worst = max(worst, ((torch.from_numpy(ours.map).double() - expected).norm() / expected.norm()).item())
        missing = max(missing, abs(ours.missing - (ours.difference - float(expected.sum()))) / max(abs(ours.difference), 1e-3))
    return Claim(
        "integrated gradients of pixels, and how much they miss", f"the integral by Gauss–Legendre, {STEPS} steps",
        f"{len(names)} models", f"relative difference at most {max(worst, missing):.1e}", int(max(worst, missing) > 1e-6),
    )  # fmt: skip
