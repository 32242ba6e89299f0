"""What the hardware allows: how long the products of a job take at the best rates that this machine reaches.

Every convolution and every product of matrices takes at least its operations over the rate of multiplying, and at least
its bytes over the rate of memory (Williams, Waterman & Patterson 2009, "Roofline"). All else could be done along with them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import conv_flop_count, flop_registry

import nbtransfer as nt
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.engine.device import why_not_bf16
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.pretrained import registry

THREADS = 2
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Rates:
    """Operations a second in each precision that the processor computes in, and bytes a second."""

    operations: dict[str, float]
    memory: float


def rates() -> Rates:
    """The best this machine reaches: in a product of matrices or a convolution, and in copying what no cache holds."""
    torch.set_num_threads(THREADS)
    found = {}
    for name, dtype in DTYPES.items():
        if name == "bf16" and why_not_bf16(torch.device("cpu")):
            continue  # emulated, it would take minutes
        a, b = (torch.randn(2048, 2048).to(dtype) for _ in range(2))
        x = torch.randn(16, 256, 28, 28).to(dtype).to(memory_format=torch.channels_last)
        w = torch.randn(256, 256, 3, 3).to(dtype).to(memory_format=torch.channels_last)
        matrices = 2 * 2048**3 / least(lambda a=a, b=b: a @ b)
        convolution = 2 * 16 * 28 * 28 * 256 * 256 * 9 / least(lambda x=x, w=w: F.conv2d(x, w, padding=1))
        found[name] = max(matrices, convolution)
    source, target = (torch.empty(2**28, dtype=torch.uint8) for _ in range(2))
    return Rates(found, 2 * 2**28 / least(lambda: target.copy_(source)))


def least(work: Callable[[], object], times: int = 6) -> float:
    """The least seconds that some work takes."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        with torch.inference_mode():
            work()
        found.append(time.perf_counter() - started)
    return min(found)


@dataclass
class Roofline(TorchDispatchMode):
    """Adds up the least seconds of all products that are computed inside."""

    operations: float
    memory: float
    seconds: float = field(default=0.0)

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        operations = _operations(func.overloadpacket, args, kwargs or {}, result)
        if operations:
            moved = sum(leaf.nbytes for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor))
            self.seconds += max(operations / self.operations, moved / self.memory)
        return result


def _operations(func: Any, args: Any, kwargs: Any, result: Any) -> int:
    """Multiplications and additions of an operator, 0 if it computes no products."""
    if func is torch.ops.aten.convolution_backward:  # torch's own count takes grouped ones for full ones
        out, x, weight, *_, wanted = args
        return (wanted[0] + wanted[1]) * conv_flop_count(x.shape, weight.shape, out.shape)
    count = flop_registry.get(func)
    return count(*args, **kwargs, out_val=result) if count else 0


class Floor:
    """The least seconds of passes through one backbone with a head, for batches of 32 images, at given rates."""

    def __init__(self, name: str, rates: Rates) -> None:
        self.card = nt.backbone(name)
        built = registry.build(self.card, None, own_file=False, seed=0, size=224)
        self.model = TransferModel(built.module, self.card, self.card.input, ("a", "b", "c")).to("meta")
        self.rates = rates

    def forward(self, images: int, precision: str, start: str | None = None, end: str | None = None) -> float:
        """A forward pass over so many images, from after stage `start` until after stage `end`."""
        return self._seconds(images, precision, start, end, learns=False)

    def step(self, images: int, precision: str, frozen: str | None = None) -> float:
        """Steps of training over so many images; what comes before the end of stage `frozen` is not computed."""
        return self._seconds(images, precision, frozen, None, learns=True)

    def _seconds(self, images: int, precision: str, start: str | None, end: str | None, *, learns: bool) -> float:
        first, last = (self.card.stages.index(stage) + 1 if stage else None for stage in (start, end))
        plan = FreezePlan.up_to(self.card, start) if start else FreezePlan.none()
        self.model.to(DTYPES[precision]).apply_plan(plan.resolve(self.card))
        x = torch.empty(32, 3, 224, 224, dtype=DTYPES[precision], device="meta")
        with torch.no_grad():
            x = self.model.eval().features(x, 0, first) if first else x
        with torch.set_grad_enabled(learns), Roofline(self.rates.operations[precision], self.rates.memory) as roof:
            out = self.model.features(x, first or 0, last)
            if learns:
                self.model.head(out).sum().backward()
        return images / 32 * roof.seconds
