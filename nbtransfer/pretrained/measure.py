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


def multiply_adds(backbone: nn.Module, size: int) -> tuple[int, int]:
    """Multiply-adds of the shared layers for one image of `size` × `size` pixels, and the width of their features."""
    module = backbone.to("meta").eval()
    with FlopCounterMode(display=False) as counter:
        features = module(torch.empty(1, 3, size, size, device="meta"))
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
    """Describe a backbone that was built with `structure_only`."""
    layers = tuple(backbone.layers())
    operations, width = multiply_adds(backbone, (weights[0].input if weights else default).size)
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
    )
