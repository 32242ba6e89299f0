"""Files of the Hugging Face hub: from its cache, or downloaded, and as they were published."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from nbtransfer.errors import BackboneError, WeightsError
from nbtransfer.pretrained import on_disk


def verified_file(repository: str, file: str, commit: str | None = None) -> Path:
    """The verified weights file of a repository in the hub's cache, downloaded on first use; of one version, if given."""
    hub = importlib.import_module("huggingface_hub")
    try:
        path = Path(hub.hf_hub_download(repository, file, **({"revision": commit} if commit else {})))
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


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_with(repository: str, files: Sequence[str], hint: Callable[[], str]) -> Path:
    """The folder that small files of a repository are downloaded to; all but the first may not exist.

    Raises BackboneError, which ends with the hint, if the first cannot be had.
    """
    hub = importlib.import_module("huggingface_hub")
    try:
        first = Path(hub.hf_hub_download(repository, files[0], cache_dir=on_disk.hub_cache()))
    except Exception as error:  # as above
        raise BackboneError(
            f"{files[0]} of {repository} could not be downloaded ({type(error).__name__}); check the name, or "
            f"download the model on a machine with network; {hint()}"
        ) from error
    for file in files[1:]:
        with contextlib.suppress(hub.errors.EntryNotFoundError, hub.errors.LocalEntryNotFoundError):
            hub.hf_hub_download(repository, file, revision=first.parent.name, cache_dir=on_disk.hub_cache())
    return first.parent
