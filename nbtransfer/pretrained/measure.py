"""Count the parameters and operations of a backbone without allocating its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from nbtransfer.core.backbone import BackboneCard, InputSpec, WeightsCard
from nbtransfer.errors import BackboneError
from nbtransfer.pretrained.backbone import Backbone


class _ParametersOnMeta(TorchFunctionMode):
    """Makes the functions that create parameters allocate nothing.

    `torch.device("meta")` would also affect small tensors whose values some constructors read.
    """

    _FACTORIES = frozenset({torch.empty, torch.ones, torch.zeros, torch.rand, torch.randn, torch.full})

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if func in self._FACTORIES:
            options["device"] = "meta"
        return func(*args, **options)


@contextmanager
def structure_only() -> Iterator[None]:
    """Models built inside have shapes but no values."""
    with _ParametersOnMeta():
        yield


def multiply_adds(backbone: nn.Module, shape: tuple[int, int]) -> tuple[int, int]:
    """Multiply-adds of the shared layers for one image of this height and width, and the width of their features.

    Needs no values if the backbone was built with `structure_only`; else it runs.
    """
    structure = any(parameter.is_meta for parameter in backbone.parameters())
    module = (backbone.to("meta") if structure else backbone).eval()
    image = torch.zeros(1, 3, *shape, device="meta" if structure else "cpu")
    with FlopCounterMode(display=False) as counter:  # whose tracker of modules needs gradients
        features = module(image)
    return counter.get_total_flops() // 2, features.shape[1]


def card_of(
    name: str,
    family: str,
    origin: str,
    backbone: Backbone,
    default: InputSpec,
    weights: tuple[WeightsCard, ...],
    min_size: int = 1,
) -> BackboneCard:
    """Describe a backbone; built with `structure_only`, it takes no memory."""
    layers = tuple(backbone.layers())
    if any(layer.name == "head" for layer in layers):
        raise BackboneError(f"a layer of {name} is called 'head', as the task-specific layers are; rename it")
    operations, width = multiply_adds(backbone, (weights[0].input if weights else default).shape)
    return BackboneCard(
        name=name,
        family=family,
        origin=origin,
        stages=backbone.stages,
        width=width,
        params=sum(layer.params for layer in layers),
        multiply_adds=operations,
        min_size=min_size,
        fixed_size=False,
        weights=weights,
        default_input=default,
        layers=layers,
        ends=backbone.ends,
        leaves=backbone.leaves,
    )
