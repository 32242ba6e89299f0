"""What computes, with its versions: other code may compute other values from the same weights."""

from __future__ import annotations

import importlib.metadata
import platform

import torch


def installed_versions() -> dict[str, str]:
    """Everything whose version may decide the numbers of a run, for the record."""
    found = {"python": platform.python_version()}
    for name in ("nbtransfer", "torch", "torchvision", "timm", "pillow", "numpy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def computing_versions(origin: str) -> list[str]:
    """What the activations of a backbone depend on: the processor's instructions, and the packages that compute them."""
    own = [torch.backends.cpu.get_cpu_capability()]
    return own + [importlib.metadata.version(name) for name in dict.fromkeys(("torch", "torchvision", "pillow", origin))]
