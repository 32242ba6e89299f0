"""Backbones of one's own: a class in custom code, called `code/MODULE.Class`.

It is called without arguments, and maps images (N, 3, H, W) to features (N, width). These attributes of the class, all
optional, say what images it takes and where it may be cut:

    image_size   pixels, by default 224
    mean, std    of each channel, by default those of ImageNet
    stages       names of the modules that end its stages; by default they are proposed from its forward pass
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from nbtransfer.core.backbone import BackboneCard, InputSpec
from nbtransfer.core.code import Code
from nbtransfer.core.codec import from_plain
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import short_list
from nbtransfer.errors import CodeError, InputError
from nbtransfer.pretrained.backbone import SplicedBackbone
from nbtransfer.pretrained.layer_traits import exempt
from nbtransfer.pretrained.measure import card_of
from nbtransfer.pretrained.prove import prove
from nbtransfer.usercode.module import attribute, call

ORIGIN, PREFIX = "code", "code/"
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
RESIZE = 8 / 7
"""An image is first resized to so many times its size, and the centre kept, as torchvision does with 256 and 224 pixels."""


def build(name: str, codes: Iterable[Code]) -> nn.Module:
    """The user's model, with values that depend on torch's random state; raises CodeError if the class makes none."""
    reference = name.removeprefix(PREFIX)
    make = attribute(reference, codes)
    try:
        inspect.signature(make).bind()
    except TypeError as error:
        raise CodeError(f"{reference} is called without arguments ({error}); give each argument of it a default") from error
    net = call(reference, make)
    if not isinstance(net, nn.Module):
        raise CodeError(f"{reference} makes {type(net).__name__}; let it make a torch.nn.Module")
    exempt(net)
    return net


def make_card(name: str, codes: Iterable[Code]) -> BackboneCard:
    """The card of the user's model, whose cut is proved now; raises CodeError if it cannot be used."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build(name, codes)
    reference, spec = name.removeprefix(PREFIX), input_spec(name, net)
    _check_features(reference, net, spec.shape)
    _check_use(reference, net, spec.shape)
    stated = getattr(net, "stages", None)
    ends = tuple(stated) if isinstance(stated, (tuple, list)) and all(isinstance(end, str) for end in stated) else None
    missing = [end for end in ends or () if end not in dict(net.named_modules())]
    if missing:
        raise CodeError(f"{reference} has no module {missing[0]!r}, which its attribute stages names; use names of its modules")
    return card_of(name, ORIGIN, ORIGIN, SplicedBackbone(net, prove(net, spec.shape, ends), spec.shape), spec, ())


def input_spec(name: str, net: nn.Module) -> InputSpec:
    """The images that the model's attributes ask for; raises CodeError for values that cannot be."""
    size = getattr(net, "image_size", 224)
    stated = {key: list(value) for key in ("mean", "std") if isinstance(value := getattr(net, key, None), (tuple, list))}
    try:
        spec = from_plain(
            InputSpec, {"size": size, "resize": round(RESIZE * size), "interpolation": "bilinear", **IMAGENET, **stated}
        )
    except (InputError, TypeError, ValueError) as error:
        raise CodeError(f"the input that {name} states cannot be used ({error}); state image_size = 64, for example") from error
    if size < 1 or min(spec.std) <= 0:
        raise CodeError(f"the input that {name} states cannot be used; image_size and std are greater than 0")
    return spec


@torch.no_grad()
def _check_features(reference: str, net: nn.Module, shape: tuple[int, int]) -> None:
    """Raise CodeError unless the model gives features (N, width)."""
    training, found = net.training, call(reference, net.eval(), torch.zeros(2, 3, *shape))
    net.train(training)
    if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != 2 or not found.is_floating_point():
        what = tuple(found.shape) if isinstance(found, torch.Tensor) else f"a {type(found).__name__}"
        advice = ", such as x.mean((2, 3))" if isinstance(found, torch.Tensor) and found.ndim == 4 else ""
        raise CodeError(
            f"{reference} makes {what} of images (2, 3, {shape[0]}, {shape[1]}); let it return features (2, width){advice}"
        )


def _check_use(reference: str, net: nn.Module, shape: tuple[int, int]) -> None:
    """Raise CodeError if some parameters take no part in the features."""
    images = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    named: dict[str, Any] = dict(net.named_parameters())
    if not named:
        raise CodeError(f"{reference} has no parameters, so nothing in it can learn; give it layers")
    training, features = net.training, call(reference, net.eval(), images)
    net.train(training)
    if not features.requires_grad:
        raise CodeError(f"{reference} gives features without gradients; leave out torch.no_grad and detach in its forward")
    found = torch.autograd.grad(features.sum(), list(named.values()), allow_unused=True, retain_graph=True)
    idle = [name for name, gradient in zip(named, found, strict=True) if gradient is None]
    if idle:
        raise CodeError(
            f"{quantity(len(idle), 'parameter')} of {reference} take no part in its features: {short_list(idle, most=3)}; "
            "use them in its forward, or remove them"
        )
