"""Where to compute, and in which precision."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from nbtransfer.core.recipe import Precision
from nbtransfer.errors import RecipeError

CONTAINERS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Device:
    """A device and the precision that matrix products are computed in on it; parameters always stay in fp32."""

    torch: torch.device
    precision: str

    @property
    def name(self) -> str:
        """What the device calls itself."""
        if self.torch.type == "cuda":
            return torch.cuda.get_device_name(self.torch)
        return platform.processor() or platform.machine()

    def autocast(self) -> AbstractContextManager[None]:
        """Mixed precision for the code inside; nothing in fp32."""
        mixed = self.precision != "fp32"
        return torch.autocast(self.torch.type, dtype=DTYPES[self.precision] if mixed else None, enabled=mixed)

    def exactly(self) -> Device:
        """The same device in fp32."""
        return Device(self.torch, "fp32")


def choose(name: str, precision: Precision) -> Device:
    """The device called `name`, in fp32 where precision is "auto"; raises RecipeError when this machine has none."""
    device = torch.device(_best() if name == "auto" else name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RecipeError(f"device is {name!r}, but torch sees {torch.cuda.device_count()} CUDA devices; use device='auto'")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise RecipeError("device is 'mps', but torch sees no such device; use device='auto'")
    if precision == "fp16" and device.type == "cpu":
        raise RecipeError("precision is 'fp16', which needs a GPU; use 'bf16' or 'fp32' on the CPU")
    return Device(device, "fp32" if precision == "auto" else precision)


def why_not_bf16(device: torch.device) -> str | None:
    """None where the hardware multiplies bf16 matrices itself, else why not; emulation would be slower than fp32."""
    can = False
    if device.type == "cuda":
        can = bool(torch.cuda.is_bf16_supported(including_emulation=False))
    elif device.type == "cpu":
        if not hasattr(torch.cpu, "get_capabilities"):
            return f"torch {torch.__version__} cannot tell whether this processor computes in bf16 itself; 2.11 and newer can"
        can = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
    return None if can else f"{device.type} here does not compute in bf16 itself"


def available_memory() -> int:
    """Bytes of main memory that may be taken without pushing others out, or going beyond what a container may have."""
    return max(0, min([psutil.virtual_memory().available, *_left_in_container()]))


def _left_in_container() -> Iterator[int]:
    """Of a limit of control groups (version 2 or 1), where there is one: files that are only cached do not count."""
    for folder, limit, used, cached in CONTAINERS:
        try:
            stat = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
            left = int((folder / limit).read_text(encoding="ascii")) - int((folder / used).read_text(encoding="ascii"))
            yield left + int(stat[cached])
        except (OSError, ValueError, KeyError):  # no such files, or "max"
            continue


def use_threads(wanted: int | None) -> int:
    """Set the number of threads: `wanted`, else every core this process may use. Returns it."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(wanted or usable or 1)
    return torch.get_num_threads()


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
