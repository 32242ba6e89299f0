"""Weights of runs that others went on from: `weights/DIGEST.safetensors`, kept as long as a run names them."""

from __future__ import annotations

from pathlib import Path

from nbtransfer.store.home import home, private_folder
from nbtransfer.store.paths import RunPaths
from nbtransfer.store.runs import list_ids


def folder() -> Path:
    """Where they lie."""
    return private_folder(home() / "weights")


def holds(path: str) -> bool:
    """Whether a file of weights is one of these."""
    return Path(path).parent == home() / "weights"


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
