"""Shared layers and a linear head as a model of torchvision or timm: how that library builds it, under which names.

Most originals need another number of classes and nothing else. Where the cut replaced more than the last linear layer, the
original is changed in the same way, in lines of code that its new owner can read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torchvision import models

from nbtransfer.core.backbone import BackboneCard
from nbtransfer.errors import BackboneError
from nbtransfer.pretrained import registry, timm_models, torchvision_models

StateDict = dict[str, torch.Tensor]

VERSIONS = {"mnasnet": 2}
"""The version of a state dict, for originals that refuse one without. torch keeps it in an attribute, a file does not."""


@dataclass(frozen=True)
class Original:
    """A model as its own library builds it.

    library    the package to import
    call       the function of that package, its positional and its named arguments
    changes    modules that replace those of the library's model, by their names
    version    of the state dict, if the model asks for it
    """

    library: str
    call: tuple[str, tuple[Any, ...], Mapping[str, Any]]
    changes: Mapping[str, nn.Module]
    version: int | None = None

    def code(self) -> list[str]:
        """Lines of Python that build it as `model`; they need `torch` and the library."""
        function, positional, named = self.call
        arguments = [*map(repr, positional), *(f"{name}={value!r}" for name, value in named.items())]
        changed = (f"{_attribute(name)} = torch.nn.{module!r}" for name, module in self.changes.items())
        return [f"model = {self.library}.{function}({', '.join(arguments)})", *changed]

    def loading_code(self, file: str) -> list[str]:
        """Lines of Python that load a file of safetensors into `model`."""
        if self.version is None:
            return [f'model.load_state_dict(load_file("{file}"), strict=True)']
        return [
            f'state = OrderedDict(load_file("{file}"))',
            f'state._metadata = {{"": {{"version": {self.version}}}}}  # which the file does not hold, and the model asks for',
            "model.load_state_dict(state, strict=True)",
        ]

    def load(self, net: nn.Module, tensors: StateDict) -> None:
        """What that code does, for what `build` has built; raises RuntimeError if names or shapes differ."""
        state = OrderedDict(tensors)
        if self.version is not None:
            state._metadata = {"": {"version": self.version}}  # type: ignore[attr-defined]  # noqa: SLF001 - as torch does
        net.load_state_dict(state)

    def build(self) -> nn.Module:
        """What the code builds, in evaluation mode."""
        function, positional, named = self.call
        if self.library == timm_models.ORIGIN:
            net: nn.Module = timm_models.timm().create_model(*positional, **named)
        else:
            net = models.get_model(function.rpartition(".")[2], **named)
        for name, module in self.changes.items():
            net.set_submodule(name, module)
        return net.eval()


def original(card: BackboneCard, size: int, classes: int) -> Original:
    """The original of shared layers for `classes` classes and images of `size` pixels; raises BackboneError if it has none."""
    if card.origin == torchvision_models.ORIGIN:
        named = {"num_classes": classes, **torchvision_models.size_options(card.built_as, size)}
        if card.family in torchvision_models.INCEPTIONS:
            # Weights for their own range of values, whose conversion is part of our stem.
            named |= {"transform_input": True, "aux_logits": False, "init_weights": False}
        changes = _torchvision_changes(card, classes)
        return Original("torchvision", (f"models.{card.built_as}", (), named), changes, VERSIONS.get(card.family))
    if card.origin == timm_models.ORIGIN:
        own = timm_models.architecture(card.built_as)
        call = ("create_model", (own,), timm_models.options(own, classes, card.input.at(size).shape))
        return Original("timm", call, _timm_changes(card, classes))
    raise BackboneError(f"{card.name} is not an architecture of torchvision or timm")


def original_state(
    card: BackboneCard, size: int, shared: Mapping[str, torch.Tensor], head: nn.Linear, net: nn.Module
) -> StateDict:
    """The state dict of `net`, an original, with the tensors of the shared layers, and the head as each of its classifiers.

    Raises BackboneError if the original has tensors that neither of them can fill.
    """
    names = registry.with_structure(lambda: registry.original_net(card, size), lambda net: _original_names(card, net, size))
    if foreign := sorted(shared.keys() - names.keys()):
        raise BackboneError(f"{foreign[0]} has no counterpart in the original {card.name}")
    state = {names[name]: tensor for name, tensor in shared.items()}
    for name, tensor in net.state_dict().items():
        if name not in state:
            part = head.weight if name.endswith(".weight") else head.bias
            if part.numel() != tensor.numel() or not name.endswith((".weight", ".bias")):
                raise BackboneError(f"{name} of the original {card.name} has no counterpart here")
            state[name] = part.detach().clone().reshape(tensor.shape)  # the classifier may be a 1×1 convolution
    return {name: state[name] for name in net.state_dict()}


def _original_names(card: BackboneCard, net: nn.Module, size: int) -> dict[str, str]:
    """The name in the original model of each tensor of the shared layers."""
    before = net.state_dict(keep_vars=True)  # kept, so that no tensor of the cut can get the id of one that is gone
    names = {id(tensor): name for name, tensor in before.items()}
    shared = registry.cut(card, net, card.input.at(size).shape).state_dict(keep_vars=True)
    return {name: names[id(tensor)] for name, tensor in shared.items() if id(tensor) in names}


def _torchvision_changes(card: BackboneCard, classes: int) -> dict[str, nn.Module]:
    linear = nn.Linear(card.width, classes)
    pooled = {"avgpool": nn.AdaptiveAvgPool2d(1), "classifier": linear}
    changes: dict[str, dict[str, nn.Module]] = {
        "vgg": pooled,
        "alexnet": pooled,
        "squeezenet": {"classifier.2": nn.Identity()},  # a ReLU on the logits
        "maxvit": {"classifier.5": linear},  # without a bias
    }
    return changes.get(card.family, {})


def _timm_changes(card: BackboneCard, classes: int) -> dict[str, nn.Module]:
    """Classifiers that are more or less than a linear layer with a bias give way to one."""
    places = registry.with_structure(lambda: timm_models.build(card.built_as, classes), lambda net: dict(_classifiers(net)))
    return {name: nn.Linear(card.width, classes) for name, module in places.items() if not _is_linear(module)}


def _classifiers(net: Any) -> Iterator[tuple[str, nn.Module]]:
    """The classifiers of a model of timm by name; distilled ones have two, whose answers are averaged."""
    found = net.get_classifier() if hasattr(net, "get_classifier") else ()
    wanted = {id(module) for module in (found if isinstance(found, tuple) else (found,))}
    return ((name, module) for name, module in net.named_modules() if id(module) in wanted)


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, (nn.Linear, nn.Conv2d)) and module.bias is not None


def _attribute(name: str) -> str:
    """`classifier.2` as the code `model.classifier[2]`."""
    return "model" + "".join(f"[{part}]" if part.isdecimal() else f".{part}" for part in name.split("."))
