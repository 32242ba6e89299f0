"""What the device can do at best, and what a network asks of it."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import nbtransfer as nt
from benchmarks.gpu.ours import tf32, tf32_now
from benchmarks.gpu.scene import CLASSES, Scene
from benchmarks.gpu.steps import Finding
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.pretrained import registry

Operations = dict[str, float]
"""Multiplications and additions of convolutions ("conv") and of products of matrices ("matrix")."""
RATES: dict[str, float] = {}
"""Operations a second, measured once in this process; "fp32", "tf32", "bf16", and "bytes" a second of a copy."""


def rates(scene: Scene) -> Finding:
    """Products of large matrices of random numbers, a convolution in bf16, and copies."""
    side = 8192 if scene.gpu else 256
    for name, dtype in (("fp32", torch.float32), ("tf32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = (torch.randn(side, side, device=scene.device, dtype=dtype) for _ in range(2))
        with tf32(allowed=name == "tf32"):
            RATES[name] = 2 * side**3 / seconds(lambda a=a, b=b: a @ b, scene)
    x = torch.randn(128, 256, 28, 28, device=scene.device).bfloat16().to(memory_format=torch.channels_last)
    w = torch.randn(256, 256, 3, 3, device=scene.device).bfloat16().to(memory_format=torch.channels_last)
    if scene.gpu:
        RATES["bf16 convolution"] = 2 * 128 * 28**2 * 256**2 * 9 / seconds(lambda: F.conv2d(x, w, padding=1), scene)
    source, target = (torch.empty(2**31 if scene.gpu else 2**20, dtype=torch.uint8, device=scene.device) for _ in range(2))
    RATES["bytes"] = 2 * len(source) / seconds(lambda: target.copy_(source), scene)
    figures = {**RATES, "tf32 by default": tf32_now(scene.device)}
    if scene.gpu:
        figures |= _transfers(scene)
    text = ", ".join(f"{name} {rate / 1e12:.1f}" for name, rate in RATES.items())
    return Finding(good=True, text=f"TFLOP/s (TB/s): {text}", figures=figures)


def _transfers(scene: Scene) -> dict[str, float]:
    """Bytes a second from main memory to the GPU and back."""
    there, figures = torch.empty(2**28, dtype=torch.uint8, device=scene.device), {}
    for name in ("pinned", "pageable"):
        here = torch.empty(2**28, dtype=torch.uint8, pin_memory=name == "pinned").fill_(1)
        figures[f"to the GPU, {name} (B/s)"] = 2**28 / seconds(lambda here=here: there.copy_(here, non_blocking=True), scene)
        figures[f"from the GPU, {name} (B/s)"] = 2**28 / seconds(lambda here=here: here.copy_(there), scene)
    return figures


def seconds(work: Callable[[], object], scene: Scene, times: int = 0) -> float:
    """The median seconds of some work on the device, after two times that do not count."""
    found = []
    for number in range((times or scene.sizes.repeats) + 2):
        scene.wait()
        began = time.perf_counter()
        work()
        scene.wait()
        if number >= 2:
            found.append(time.perf_counter() - began)
    return statistics.median(found)


@functools.cache
def forward(backbone: str, side: int, start: int = 0, end: int | None = None) -> Operations:
    """What one image asks for in a forward pass from stage number `start` to `end`."""
    card = nt.backbone(backbone)
    built = registry.build(card, None, own_file=False, seed=0, size=side)
    classes = tuple(map(str, range(CLASSES)))
    model = TransferModel(built.module, card, card.input, classes).to("meta").eval()
    with torch.no_grad():
        entering = model.features(torch.empty(2, 3, side, side, device="meta"), 0, start) if start else None
        x = torch.empty(2, 3, side, side, device="meta") if entering is None else entering
        with FlopCounterMode(display=False) as counter:
            model.features(x, start, end)
    counted = counter.get_flop_counts().get("Global", {})
    conv = sum(count for operator, count in counted.items() if "conv" in str(operator))
    return {"conv": conv / 2, "matrix": (sum(counted.values()) - conv) / 2}


def floor(asked: Operations, precision: str, device: str) -> float:
    """The seconds that operations take at the rates that were measured; fp32 is what torch takes for it at present."""
    fast = tf32_now(device)
    names = {kind: precision if precision != "fp32" else "tf32" if fast[kind] else "fp32" for kind in asked}
    return sum(count / RATES[names[kind]] for kind, count in asked.items())


def times(asked: Operations, factor: float) -> Operations:
    return {kind: factor * count for kind, count in asked.items()}


def plus(one: Operations, other: Operations) -> Operations:
    return {kind: one[kind] + other[kind] for kind in one}
