"""Enter a model in the middle of its forward pass, and leave it there, without knowing how it is written.

To leave at a module, the pass is stopped when that module returns. To enter at it, whatever is called before returns
stand-ins of the right shape, and the module itself returns the stored activations; code between the modules runs as always.
Whether the rest of the pass then depends on nothing else is for `prove` to find out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map

from nbtransfer.pretrained.calls import Call, TensorShape


class Splice:
    """The places where one model can be entered and left: `ends` are the modules that end there, called once each.

    `shape` is the height and width of the images that `calls` were recorded with.
    """

    def __init__(self, calls: Sequence[Call], ends: Sequence[str], shape: tuple[int, int]) -> None:
        self.shape = shape
        self.ends = {end: next(call for call in calls if call.module == end) for end in ends}
        self.before = {end: tuple(replaced(calls, call)) for end, call in self.ends.items()}

    def run(self, net: nn.Module, x: torch.Tensor, enter: str | None, leave: str | None, stand_in: float = 0.0) -> torch.Tensor:
        """The pass of `net` from one place to another; None is the input, or the output.

        `x` are images, or activations of the place to enter at. `stand_in` is the value of all that is left out.
        """
        with ExitStack() as stack:
            images = x
            if enter is not None:
                images = TensorShape((0, 3, *self.shape), (1, 0, 0, 0), torch.float32).stand_in(len(x), x.device, stand_in)
                # Where a module is called several times, the function put there last answers first.
                for call in reversed(self.before[enter]):
                    stack.enter_context(_returning(net.get_submodule(call.module), partial(_stand_ins, call, x, stand_in)))
                stack.enter_context(_returning(net.get_submodule(enter), lambda: x))
            if leave is not None:
                stack.enter_context(_stopping(net.get_submodule(leave)))
            try:
                output = net(images)
            except _Left as left:
                return left.activations
            if leave is not None:
                raise RuntimeError(f"{leave} was not reached, so there are no activations of it")
            return output  # type: ignore[no-any-return]
        raise AssertionError("unreachable")  # pragma: no cover - for the type checker: no context here swallows errors


def replaced(calls: Sequence[Call], end: Call) -> Iterator[Call]:
    """The calls that return stand-ins when the model is entered at the end of `end`.

    They are over before it begins, and were not made by another such call. A module that is given no tensor (a table of
    positions, say) runs as always: its result cannot depend on the images.
    """
    chosen: set[int] = set()
    for call in calls:
        if call.end < end.begin and call.inputs and not any(around.begin in chosen for around in call.around):
            chosen.add(call.begin)
            yield call


class _Left(BaseException):
    """Ends a pass early, and carries the activations."""

    def __init__(self, activations: torch.Tensor) -> None:
        super().__init__("the pass was left here")
        self.activations = activations


def _stand_ins(call: Call, x: torch.Tensor, value: float) -> Any:
    """What a call returns when it is left out. Made when it is asked for, so that few are in memory at a time."""

    def of(leaf: Any) -> Any:
        return leaf.stand_in(len(x), x.device, value) if isinstance(leaf, TensorShape) else leaf

    return tree_map(of, call.result)


@contextmanager
def _forward(module: nn.Module, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Let `make` replace what a module does when it is called."""
    own, before = module.__dict__.get("forward"), module.forward
    module.__dict__["forward"] = make(before)
    try:
        yield
    finally:
        if own is None:
            del module.__dict__["forward"]
        else:
            module.__dict__["forward"] = own


@contextmanager
def _returning(module: nn.Module, result: Callable[[], Any]) -> Iterator[None]:
    """The next call of a module returns this; later ones do what they did before."""

    def make(forward: Callable[..., Any]) -> Callable[..., Any]:
        left = iter(range(1))
        return lambda *args, **kwargs: forward(*args, **kwargs) if next(left, None) is None else result()

    with _forward(module, make):
        yield


@contextmanager
def _stopping(module: nn.Module) -> Iterator[None]:
    def make(forward: Callable[..., Any]) -> Callable[..., Any]:
        def stop(*args: Any, **kwargs: Any) -> Any:
            raise _Left(forward(*args, **kwargs))

        return stop

    with _forward(module, make):
        yield
