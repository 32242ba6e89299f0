"""The runs that this process has started or attached, in order: what a notebook means when it names none."""

from __future__ import annotations

from nbtransfer.store.paths import RunPaths

_own: list[RunPaths] = []


def add(paths: RunPaths) -> None:
    """This process is about that run now."""
    if paths in _own:
        _own.remove(paths)
    _own.append(paths)


def newest() -> RunPaths | None:
    """The one started or attached last that is still there."""
    return next((paths for paths in reversed(_own) if paths.spec.exists()), None)
