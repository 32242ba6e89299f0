"""Weights of runs that others went on from: `weights/DIGEST.safetensors`, kept as long as a run names them."""

from __future__ import annotations

import json
from pathlib import Path

from nbtransfer.core.codec import dumps, from_plain, to_plain
from nbtransfer.core.lineage import Lineage
from nbtransfer.errors import InputError
from nbtransfer.store.home import home, private_folder
from nbtransfer.store.paths import RunPaths
from nbtransfer.store.runs import list_ids

LINEAGE, LICENCE = "lineage", "licence"


def folder() -> Path:
    """Where they lie."""
    return private_folder(home() / "weights")


def holds(path: str) -> bool:
    """Whether a file of weights is one of these."""
    return Path(path).parent == home() / "weights"


def facts(made: Lineage, licence: str) -> dict[str, str]:
    """What is written into such a file about how its weights were made."""
    return {LINEAGE: dumps(to_plain(made)), LICENCE: licence}


def lineage(path: str) -> Lineage | None:
    """How the weights in a file of this folder were made; None for any other file."""
    text = _metadata(path).get(LINEAGE)
    try:
        return from_plain(Lineage, json.loads(text)) if text else None
    except (ValueError, InputError):
        return None


def licence(path: str) -> str | None:
    """The licence of the weights in a file of this folder; None for any other file."""
    return _metadata(path).get(LICENCE)


def _metadata(path: str) -> dict[str, str]:
    """The text in the header of a safetensors file: its length in eight bytes, then JSON."""
    if not holds(path):
        return {}
    try:
        with Path(path).open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    except (OSError, ValueError, MemoryError):
        return {}
    return dict(header.get("__metadata__", {}))


def drop_unless_named(path: str | None) -> None:
    """Remove a file of this folder that no run names any more; anything else is left alone."""
    file = Path(path or "")
    if holds(str(file)) and not any(_names(run_id, file.name) for run_id in list_ids()):
        file.unlink(missing_ok=True)


def _names(run_id: str, name: str) -> bool:
    try:
        return name in RunPaths(home() / "runs" / run_id).spec.read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
