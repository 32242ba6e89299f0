"""How long work takes on a device."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import torch

from nbtransfer.engine.device import Device

T = TypeVar("T")


def timed(work: Callable[[], T], device: Device, times: int = 2) -> tuple[T, float]:
    """The result of some work, and the fewest seconds it took in `times` tries, after a first one that does not count."""
    best, result = float("inf"), work()
    for _ in range(times):
        _wait_for(device)
        started = time.perf_counter()
        result = work()
        _wait_for(device)
        best = min(best, time.perf_counter() - started)
    return result, best


def seconds(work: Callable[[], object], device: Device) -> float:
    """The seconds that some work takes."""
    return timed(work, device)[1]


def _wait_for(device: Device) -> None:
    if device.torch.type == "cuda":
        torch.cuda.synchronize(device.torch)
    elif device.torch.type == "mps":
        torch.mps.synchronize()
