"""Timing of work on a device."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import torch

from nbtransfer.engine.device import Device

T = TypeVar("T")


def time_call(work: Callable[[], T], device: Device, times: int = 2) -> tuple[T, float]:
    """The result of `work` and its shortest duration in seconds, out of `times` runs after one to warm up."""
    best, result = float("inf"), work()
    for _ in range(times):
        _wait_for(device)
        started = time.perf_counter()
        result = work()
        _wait_for(device)
        best = min(best, time.perf_counter() - started)
    return result, best


def seconds_for(work: Callable[[], object], device: Device) -> float:
    """How many seconds `work` takes."""
    return time_call(work, device)[1]


def _wait_for(device: Device) -> None:
    if device.torch.type == "cuda":
        torch.cuda.synchronize(device.torch)
    elif device.torch.type == "mps":
        torch.mps.synchronize()
