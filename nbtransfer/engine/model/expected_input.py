"""Models that users call themselves say what they expect. In training nothing is checked: a look at values would cost time."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.errors import InputError

SLACK = 0.05
"""How exactly values fill the range from 0 to 1 that look as if they were not normalised."""


def check_input(model: TransferModel) -> TransferModel:
    """The same model. From now on a call with anything but preprocessed images raises InputError in one sentence."""
    model.register_forward_pre_hook(_check, with_kwargs=True)
    return model


def _check(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    assert isinstance(model, TransferModel)
    if _is_traced() or dict(zip(("x", "start"), args, strict=False)).get("start", kwargs.get("start", 0)):
        return
    x: object = args[0] if args else kwargs.get("x")
    if problem := _problem(x, model):
        low, high = model.spec.value_range
        raise InputError(
            f"the model expects {_name(_dtype(model))} (N, 3, {', '.join(map(str, model.spec.shape))}) with normalised values "
            f"from {low:.2f} to {high:.2f}, not {problem}; prepare images with model.preprocess(images)"
        )


def _is_traced() -> bool:
    """Whether the call is only recorded, without values: for torch.compile, torch.export or torch.jit."""
    return torch.compiler.is_compiling() or torch.compiler.is_exporting() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]


def _problem(x: object, model: TransferModel) -> str | None:
    """What is given instead of preprocessed images, if it is something else."""
    if not isinstance(x, torch.Tensor):
        return f"{type(x).__name__}"
    given = f"{_name(x.dtype)} ({', '.join(map(str, x.shape))})"
    if x.ndim != 4 or tuple(x.shape[1:]) != (3, *model.spec.shape):
        return given
    if x.dtype != _dtype(model) and not (torch.is_autocast_enabled(x.device.type) and x.is_floating_point()):
        return given
    return _range_problem(x.detach(), model.spec.value_range)


def _range_problem(x: torch.Tensor, expected: tuple[float, float]) -> str | None:
    """Noise, as methods of attribution add it, may leave the range of pixels, but not by more than its length."""
    try:
        low, high = (bound.item() for bound in x.aminmax())
    except RuntimeError:  # no images, or a tensor without values of its own: on "meta", or in torch.func.vmap
        return None
    if not (math.isfinite(low) and math.isfinite(high)):
        return "values that are not finite"
    length = expected[1] - expected[0]
    if low < expected[0] - length or high > expected[1] + length:
        return f"values from {low:.4g} to {high:.4g}"
    # A dull image may look like this by chance, hence no error.
    if 0 <= low < SLACK and 1 - SLACK < high <= 1 and expected[0] < -SLACK:
        warnings.warn(
            f"the values lie between 0 and 1, as if they were not normalised (expected: {expected[0]:.2f} to "
            f"{expected[1]:.2f}); prepare images with model.preprocess(images)",
            stacklevel=_caller(),
        )
    return None


def _caller() -> int:
    """How many frames lie between a warning in the function that asks and the call of the model."""
    inside, frame, level = {__name__, nn.Module.__module__}, inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__") in inside:
        frame, level = frame.f_back, level + 1
    return level


def _dtype(model: TransferModel) -> torch.dtype:
    return next(model.parameters()).dtype


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
