"""Three models of one architecture with random weights, for what compares two models."""

from __future__ import annotations

import copy
import functools

import torch

from nbtransfer.attribution.compare import compare
from nbtransfer.engine.model.freezing import digest
from nbtransfer.engine.model.transfer_model import TransferModel
from tests.support.families import SIZES, SPEC, built

CLASSES = ("a", "b", "c")


def randomise(tensors, scale, seed):
    """Move tensors a little, each by noise of its own."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in tensors:
            # A constant may be a 0 that hides a whole block.
            spread = tensor.std(correction=0).clamp(min=0.2)
            tensor.add_(scale * spread * torch.randn(tensor.shape, generator=source))


def new_head(model, seed):
    """A copy that differs in its head only."""
    other = copy.deepcopy(model)
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in other.head.parameters():
            tensor.copy_(0.1 * torch.randn(tensor.shape, generator=source))
    return other


def calibrate(backbone, size):
    """Statistics of noise instead of none: with random weights the signal would die out on its way."""
    layers = [module for module in backbone.modules() if getattr(module, "running_mean", None) is not None]
    for layer in layers:
        layer.momentum = 1.0
    if layers:
        with torch.no_grad():
            backbone.train()(torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(5)))
    return backbone.eval()


class Trio:
    """Three models of one architecture: `frozen` differs from `before` in its head only, `after` everywhere."""

    def __init__(self, name):
        self.name, self.size = name, SIZES[name]
        _, backbone, card = built(name)
        randomise(backbone.parameters(), 0.2, 4)
        self.before = new_head(TransferModel(calibrate(backbone, self.size), card, SPEC.at(self.size), CLASSES), 1)
        self.frozen = new_head(self.before, 2)
        self.after = copy.deepcopy(self.frozen)
        randomise(self.after.backbone.parameters(), 0.2, 3)
        calibrate(self.after.backbone, self.size)
        self.pixels = picture(self.size)
        self.kept = None
        self.digests = {model: digest(model.state_dict().values()) for model in (self.before, self.after)}

    @functools.cached_property
    def changed(self):
        """What is found between `before` and `after`; `kept` is whether the random state survived it."""
        state = torch.get_rng_state()
        found = compare(self.before, self.after, self.pixels, [0])[0]
        self.kept = torch.equal(torch.get_rng_state(), state)
        return found


def picture(size, count=1, seed=0):
    """Smooth coloured noise, uint8 (count, 3, size, size)."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return (torch.nn.functional.interpolate(coarse, size=size, mode="bilinear") * 255).to(torch.uint8)
