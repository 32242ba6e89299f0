"""Versions of the software that computes: other versions may compute other values from the same weights."""

from __future__ import annotations

import importlib.metadata
import platform

import torch

from nbtransfer.pretrained.own_nets import ORIGIN as OWN


def installed_versions() -> dict[str, str]:
    """Versions of everything that may affect the numbers of a run, for the record."""
    versions = {"python": platform.python_version()}
    for name in ("nbtransfer", "torch", "torchvision", "timm", "transformers", "pillow", "numpy"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def computing_versions(origin: str) -> list[str]:
    """What a backbone's activations depend on: the CPU's instruction set and the packages that compute them."""
    packages = dict.fromkeys(("torch", "torchvision", "pillow", *(() if origin == OWN else (origin,))))
    return [torch.backends.cpu.get_cpu_capability(), *(importlib.metadata.version(name) for name in packages)]
