"""The files that describe an image model of transformers: from the hub's cache, or downloaded. No framework is loaded."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from nbtransfer.errors import BackboneError
from nbtransfer.pretrained import hub, transformers_disk
from nbtransfer.pretrained.transformers_disk import CONFIG, PREPROCESSOR, README


def described(name: str) -> Path:
    """The folder with them; raises BackboneError if there is none, or if the model cannot be used."""
    of = transformers_disk.repository(name)
    files = transformers_disk.snapshot(of)
    if files is None:
        files = hub.described(of, CONFIG, hint=lambda: transformers_disk.nearest(name))
        with contextlib.suppress(BackboneError):  # only its licence is read there
            hub.beside(of, files, README)
    transformers_disk.require_usable(name, transformers_disk.read_json(files / CONFIG))
    if not hub.beside(of, files, PREPROCESSOR):  # which a program that wants the weights alone does not download
        raise BackboneError(
            f"{name} does not say how its images are prepared (it has no {PREPROCESSOR}); choose a model that does"
        )
    transformers_disk.read_json(files / PREPROCESSOR)
    return files


def digest(files: Path) -> str:
    """sha256 of the texts that decide what its card says."""
    return hashlib.sha256(b"\0".join((files / name).read_bytes() for name in (CONFIG, PREPROCESSOR))).hexdigest()
