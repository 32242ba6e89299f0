"""The device to compute on, and the precision."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from nbtransfer.core.messages import Message, message
from nbtransfer.core.recipe import Precision
from nbtransfer.core.text.counts import quantity
from nbtransfer.errors import RecipeError

CONTAINERS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Device:
    """A device and the precision of matrix products on it; parameters always stay in fp32."""

    torch: torch.device
    precision: str

    @property
    def name(self) -> str:
        """The name that the device reports."""
        if self.torch.type == "cuda":
            return torch.cuda.get_device_name(self.torch)
        return platform.processor() or platform.machine()

    def autocast(self) -> AbstractContextManager[None]:
        """A context with mixed precision; it does nothing in fp32."""
        mixed = self.precision != "fp32"
        return torch.autocast(self.torch.type, dtype=DTYPES[self.precision] if mixed else None, enabled=mixed)

    def in_fp32(self) -> Device:
        """The same device in fp32."""
        return Device(self.torch, "fp32")


def choose(name: str, precision: Precision) -> Device:
    """The device called `name`, in fp32 if precision is "auto"; raises RecipeError when this machine does not have it."""
    device = torch.device(_best_device() if name == "auto" else name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        seen = quantity(torch.cuda.device_count(), "CUDA device") if torch.cuda.device_count() else "no CUDA device"
        raise RecipeError(f"device is {name!r}, but torch sees {seen}; use device='auto'")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise RecipeError("device is 'mps', but torch sees no such device; use device='auto'")
    if precision == "fp16" and device.type == "cpu":
        raise RecipeError("precision is 'fp16', which needs a GPU; use 'bf16' or 'fp32' on the CPU")
    return Device(device, "fp32" if precision == "auto" else precision)


def why_not_bf16(device: torch.device) -> Message | None:
    """None if the hardware multiplies bf16 matrices, else the reason; emulation would be slower than fp32."""
    can = False
    if device.type == "cuda":
        can = bool(torch.cuda.is_bf16_supported(including_emulation=False))
    elif device.type == "cpu":
        if not hasattr(torch.cpu, "get_capabilities"):
            return message("precision.torch", version=torch.__version__)
        can = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
    return None if can else message("precision.device", device=device.type)


def available_memory() -> int:
    """Bytes of main memory available without swapping, and within the limit of a container."""
    return max(0, min([psutil.virtual_memory().available, *_container_memory_left()]))


def _container_memory_left() -> Iterator[int]:
    """Bytes left of a control group's limit (version 2 or 1), if there is one. The page cache does not count as used."""
    for folder, limit, used, cached in CONTAINERS:
        try:
            stat = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
            left = int((folder / limit).read_text(encoding="ascii")) - int((folder / used).read_text(encoding="ascii"))
            yield left + int(stat[cached])
        except (OSError, ValueError, KeyError):  # no such files, or no limit ("max")
            continue


def use_threads(wanted: int | None) -> int:
    """Set the number of threads to `wanted`, by default to every core this process may use. Returns the number."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(wanted or usable or 1)
    return torch.get_num_threads()


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
