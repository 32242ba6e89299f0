"""Which pretrained weights are on this machine already, found without loading a framework."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from nbtransfer.core.backbone import BackboneCard, WeightsCard
from nbtransfer.core.backbone_list import Entry


def has_weights(entry: Entry) -> bool:
    """Whether a backbone has pretrained weights that need no network."""
    if isinstance(entry, BackboneCard):
        return entry.lineage is not None or any(_is_here(weights) for weights in entry.weights)
    return entry.repository is not None and in_hub_cache(entry.repository)


def _is_here(weights: WeightsCard) -> bool:
    """Whether a set of a built-in backbone is in its package, or in the folder that torchvision downloads to."""
    if weights.package is not None:
        return packaged_file(weights) is not None
    return (torch_cache() / "hub" / "checkpoints" / weights.file).is_file()


def packaged_file(weights: WeightsCard) -> Path | None:
    """The file of weights that come in a package; None where that is not installed."""
    folder = _package_folder(str(weights.package))
    return folder / "models" / weights.file if folder else None


def _package_folder(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def torch_cache() -> Path:
    """The folder that PyTorch keeps its downloads in."""
    caches = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{caches}/torch")).expanduser()


def hub_cache() -> Path:
    """The folder that the client of the Hugging Face hub keeps its downloads in."""
    caches = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("HF_HOME", f"{caches}/huggingface")
    return Path(os.environ.get("HF_HUB_CACHE", f"{home}/hub")).expanduser()


def in_hub_cache(repository: str) -> bool:
    """Whether a repository's weights have been downloaded."""
    folder = hub_cache() / f"models--{repository.replace('/', '--')}" / "snapshots"
    return any(folder.glob("*/*.safetensors"))
