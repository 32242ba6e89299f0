"""The files that describe an image model of transformers: from the hub's cache, or downloaded. No framework is loaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nbtransfer.errors import BackboneError
from nbtransfer.pretrained import hub, transformers_disk
from nbtransfer.pretrained.transformers_disk import CONFIG, PREPROCESSOR


def described(name: str) -> Path:
    """The folder with them; raises BackboneError if there is none, or if the model cannot be used."""
    of = transformers_disk.repository(name)
    files = transformers_disk.snapshot(of)
    if files is None:
        files = hub.folder_with(of, (CONFIG, PREPROCESSOR), hint=lambda: transformers_disk.nearest(name))
    transformers_disk.require_usable(name, transformers_disk.read_json(files / CONFIG))
    return files


def require_preprocessor(name: str, files: Path) -> None:
    """Raise BackboneError if a model does not say how its images are prepared."""
    if not (files / PREPROCESSOR).is_file():
        raise BackboneError(
            f"{name} does not say how its images are prepared (it has no {PREPROCESSOR}); choose a model that does"
        )
    transformers_disk.read_json(files / PREPROCESSOR)


def digest(files: Path) -> str:
    """sha256 of their texts."""
    texts = ((files / name).read_bytes() if (files / name).is_file() else b"" for name in (CONFIG, PREPROCESSOR))
    return hashlib.sha256(b"\0".join(texts)).hexdigest()
