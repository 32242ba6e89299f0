"""What happens in a forward pass: which modules are called, within which others, and what they return."""

from __future__ import annotations

import math
import mmap
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map


@dataclass
class Call:
    """One call of a module in a forward pass.

    module  its name
    number  how many times it had been called before
    around  the calls it happened in, from the outermost on
    inputs  whether it was given a tensor
    result  what it returned; tensors as `TensorShape`
    begin   when it was called, and when it returned (`end`): moments of the pass, counted from 0
    """

    module: str
    number: int
    around: tuple[Call, ...] = field(repr=False)
    inputs: bool
    begin: int
    end: int = -1
    result: Any = None

    @property
    def inside(self) -> Call | None:
        """The call it happened in."""
        return self.around[-1] if self.around else None


@dataclass(frozen=True)
class TensorShape:
    """The shape of a tensor, as it depends on the number of images: `base` + N · `growth`."""

    base: tuple[int, ...]
    growth: tuple[int, ...]
    dtype: torch.dtype

    def stand_in(self, images: int, device: torch.device, value: float) -> torch.Tensor:
        """A tensor of this shape and value; tensors of whole numbers and truth values know no NaN, so it is 0 there."""
        shape = [base + images * growth for base, growth in zip(self.base, self.growth, strict=True)]
        if value == 0 or (math.isnan(value) and not self.dtype.is_floating_point):
            return _zeros(torch.Size(shape), self.dtype, device)
        return torch.full(shape, value, device=device).to(self.dtype)

    @property
    def is_batch(self) -> bool:
        """Whether it has one row for each image."""
        return self.base[:1] == (0,) and self.growth == (1, *(0 for _ in self.growth[1:]))


def _zeros(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Zeros whose memory is not touched unless somebody reads it; `torch.zeros` has to clear memory that was used before."""
    size = shape.numel() * dtype.itemsize
    if device.type != "cpu" or size < mmap.PAGESIZE:
        return torch.zeros(shape, dtype=dtype, device=device)
    try:
        memory = mmap.mmap(-1, size)
    except OSError as error:
        raise MemoryError(str(error)) from error
    return torch.frombuffer(memory, dtype=dtype).view(shape)


def record_calls(net: nn.Module, images: torch.Tensor) -> tuple[Call, ...]:
    """The calls in a forward pass of `net`, in the order in which they begin, without that of `net` itself.

    Shapes are known from two passes: with all `images` (N, 3, H, W), at least two, and with one less.
    """
    calls, fewer = _record(net, images), _record(net, images[1:])
    if [(call.module, call.number) for call in calls] != [(call.module, call.number) for call in fewer]:
        raise ValueError("which modules are called depends on the number of images")
    for call, other in zip(calls, fewer, strict=True):
        call.result = tree_map(partial(_shape, len(images)), call.result, other.result)
    return tuple(calls)


def _shape(images: int, many: Any, fewer: Any) -> Any:
    if not isinstance(many, torch.Tensor):
        return many
    growth = tuple(a - b for a, b in zip(many.shape, fewer.shape, strict=True))
    return TensorShape(tuple(a - images * g for a, g in zip(many.shape, growth, strict=True)), growth, many.dtype)


@torch.no_grad()
def _record(net: nn.Module, images: torch.Tensor) -> list[Call]:
    calls: list[Call] = []
    open_calls: list[Call] = []
    times: Counter[str] = Counter()
    moment = iter(range(10**9))

    def enter(name: str, _: nn.Module, args: Any, kwargs: Any) -> None:
        given = any(isinstance(leaf, torch.Tensor) for leaf in tree_leaves((args, kwargs)))
        call = Call(name, times[name], tuple(open_calls), given, next(moment))
        times[name] += 1
        calls.append(call)
        open_calls.append(call)

    def leave(_: nn.Module, __: Any, result: Any) -> None:
        call = open_calls.pop()
        call.end = next(moment)
        # Shapes are enough, and a later operation may change the values in place.
        call.result = tree_map(lambda leaf: leaf.detach().to("meta") if isinstance(leaf, torch.Tensor) else leaf, result)

    with ExitStack() as after, evaluation_mode(net):
        for name, module in net.named_modules():
            if name:
                hook = module.register_forward_pre_hook(partial(enter, name), with_kwargs=True, prepend=True)
                after.callback(hook.remove)
                after.callback(module.register_forward_hook(leave).remove)
        net(images)
    return calls


@contextmanager
def evaluation_mode(net: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; afterwards each module has its own mode again."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
