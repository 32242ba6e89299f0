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
    names = [name for name, _ in net.named_parameters(remove_duplicate=False)]
    if twice := sorted(set(names) - {name for name, _ in net.named_parameters()}):
        raise CodeError(f"{reference} has {twice[0]} under another name as well; register each module and parameter once")
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
    ends = _stated_ends(reference, net)
    cut = prove(net, spec.shape, ends)
    refused = [end for end in ends or () if end not in cut.ends]
    if refused:
        raise CodeError(
            f"{reference} cannot be cut after {refused[0]!r}, which its attribute stages names: what follows depends on more "
            "than what that module returns; leave it out"
        )
    return card_of(name, ORIGIN, ORIGIN, SplicedBackbone(net, cut, spec.shape), spec, ())


def _stated_ends(reference: str, net: nn.Module) -> tuple[str, ...] | None:
    """The modules that end its stages, if the class states them; raises CodeError for what names no modules."""
    stated, modules = getattr(net, "stages", None), dict(net.named_modules())
    if stated is None or isinstance(stated, nn.Module):  # layers may have this name, too
        return None
    if not isinstance(stated, (tuple, list)) or not all(isinstance(end, str) for end in stated):
        raise CodeError(f"stages of {reference} is {stated!r}; state names of its modules, such as stages = ('blocks.1',)")
    missing = [end for end in stated if end not in modules]
    if missing:
        raise CodeError(f"{reference} has no module {missing[0]!r}, which its attribute stages names; use names of its modules")
    return tuple(stated)


def input_spec(name: str, net: nn.Module) -> InputSpec:
    """The images that the model's attributes ask for; raises CodeError for values that cannot be."""
    size = getattr(net, "image_size", 224)
    stated = {key: value for key in ("mean", "std") if (value := getattr(net, key, None)) is not None}
    if wrong := next((key for key, value in stated.items() if not isinstance(value, (tuple, list))), None):
        raise CodeError(f"{wrong} of {name} is {stated[wrong]!r}; state three numbers, such as {wrong} = (0.5, 0.5, 0.5)")
    try:
        spec = from_plain(
            InputSpec,
            {
                "size": size,
                "resize": round(RESIZE * size),
                "interpolation": "bilinear",
                **IMAGENET,
                **{k: list(v) for k, v in stated.items()},
            },
        )
    except (InputError, TypeError, ValueError) as error:
        raise CodeError(f"the input that {name} states cannot be used ({error}); state image_size = 64, for example") from error
    if size < 1 or min(spec.std) <= 0:
        raise CodeError(f"the input that {name} states cannot be used; image_size and std must be greater than 0")
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
            f"{reference} turns images (2, 3, {shape[0]}, {shape[1]}) into {what}; let it return features (2, width){advice}"
        )


def _check_use(reference: str, net: nn.Module, shape: tuple[int, int]) -> None:
    """Raise CodeError if some parameters take no part in the features."""
    images = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    named: dict[str, Any] = dict(net.named_parameters())
    if not named:
        raise CodeError(f"{reference} has no parameters, so nothing in it can learn; give it layers")
    net.requires_grad_(True)  # which of them learn is for the freeze plan to say
    training, features = net.training, call(reference, net.eval(), images)
    net.train(training)
    if not features.requires_grad:
        raise CodeError(f"{reference} gives features without gradients; leave out torch.no_grad and detach in its forward")
    try:
        found = torch.autograd.grad(features.sum(), list(named.values()), allow_unused=True, retain_graph=True)
    except RuntimeError as error:
        raise CodeError(
            f"{reference} has no gradients ({str(error).splitlines()[0]}); use no in-place operation there"
        ) from error
    idle = [name for name, gradient in zip(named, found, strict=True) if gradient is None]
    if idle:
        raise CodeError(
            f"{quantity(len(idle), 'parameter')} of {reference} take no part in its features: {short_list(idle, most=3)}; "
            "use them in its forward, or remove them"
        )
