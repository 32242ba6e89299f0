"""Files of the Hugging Face hub: from its cache, or downloaded, and as they were published."""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbtransfer.errors import BackboneError, WeightsError
from nbtransfer.pretrained import on_disk


def verified_file(repository: str, file: str, commit: str | None = None) -> Path:
    """The verified weights file of a repository in the hub's cache, downloaded on first use; of one version, if given."""
    hub = importlib.import_module("huggingface_hub")
    try:
        path = Path(hub.hf_hub_download(repository, file, **_version(commit)))
    except Exception as error:  # the hub's client raises many errors without network
        raise WeightsError(
            f"{file} of {repository} could not be downloaded ({type(error).__name__}); fetch it on a machine "
            "with network and give its path as weights="
        ) from error
    return verified(path, file, repository)


def verified(path: Path, file: str, repository: str) -> Path:
    """A file of the hub's cache, which stores large files under their published sha256; raises WeightsError if it differs."""
    published = path.resolve().name
    if re.fullmatch(r"[0-9a-f]{64}", published) and _digest(path) != published:
        raise WeightsError(f"{path} is not {file} as published by {repository}; delete it and try again")
    return path


def described(repository: str, file: str, hint: Callable[[], str]) -> Path:
    """The folder that a small file of a repository is downloaded to; raises BackboneError, which ends with the hint."""
    hub = importlib.import_module("huggingface_hub")
    try:
        return Path(hub.hf_hub_download(repository, file, cache_dir=on_disk.hub_cache())).parent
    except Exception as error:  # as above
        raise BackboneError(
            f"{file} of {repository} could not be downloaded ({type(error).__name__}); check the name, or "
            f"download the model on a machine with network; {hint()}"
        ) from error


def beside(repository: str, folder: Path, file: str) -> bool:
    """Whether a version of a repository has a small file, downloaded if it is not in its folder yet.

    Raises BackboneError if that cannot be found out.
    """
    if (folder / file).is_file():
        return True
    hub = importlib.import_module("huggingface_hub")
    try:
        hub.hf_hub_download(repository, file, **_version(folder.name))
    except Exception as error:  # as above
        known = isinstance(error, hub.errors.EntryNotFoundError) and not isinstance(error, hub.errors.LocalEntryNotFoundError)
        if known:
            return False
        raise BackboneError(
            f"{file} of {repository} is not in the hub's cache, and could not be downloaded ({type(error).__name__}); "
            "download it on a machine with network, or choose another model"
        ) from error
    return (folder / file).is_file()


def _version(commit: str | None) -> dict[str, Any]:
    """A version beside the files of it that are here already; by default, the last one."""
    return {"revision": commit, "cache_dir": on_disk.hub_cache()} if commit else {}


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
