"""What people call their runs. A name is found wherever an id is taken, so no two runs of a home folder share one."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from nbtransfer.errors import InputError, RunError
from nbtransfer.store import atomic
from nbtransfer.store.home import home
from nbtransfer.store.lock import RunLock
from nbtransfer.store.paths import RunPaths
from nbtransfer.store.runs import ID, list_ids

MOST_LETTERS = 80


def check(name: str) -> None:
    """Raise InputError if a run cannot be called so."""
    if not name.strip() or name != name.strip():
        raise InputError(f"{name!r} is not a valid run name; use at least one character, and no spaces at either end")
    if len(name) > MOST_LETTERS:
        raise InputError(f"the name {name[:20]!r}… has {len(name)} characters; use at most {MOST_LETTERS}")
    if not name.isprintable() or "/" in name or "\\" in name:
        raise InputError(f"{name!r} is not a valid run name; use printable characters without slashes")
    if name.startswith("-") or ID.fullmatch(name):
        raise InputError(
            f"{name!r} is not a valid run name, because it looks like an {'id' if ID.fullmatch(name) else 'option'}"
        )


def read(paths: RunPaths) -> str:
    """The name of a run, empty if it has none."""
    try:
        return paths.name.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def find(name: str) -> RunPaths | None:
    """The run with this name."""
    every = (RunPaths(home() / "runs" / run_id) for run_id in list_ids())
    return next((paths for paths in every if name and read(paths) == name), None)


def write(paths: RunPaths, name: str) -> None:
    """Give a run a name; an empty one takes it away. Raises InputError if another run has it, RunError if the run is gone."""
    if name:
        check(name)
    with _alone():
        _require_free(name, paths.id)
        try:
            atomic.write_text(paths.name, name)
        except OSError as error:
            raise RunError(f"run {paths.id} cannot be renamed ({error.strerror}); check that its folder exists") from error


def require_free(name: str) -> None:
    """Raise InputError if a run that is about to start cannot be called so."""
    check(name)
    _require_free(name, "")


def _require_free(name: str, own: str) -> None:
    other = find(name)
    if other is not None and other.id != own:
        raise InputError(f"run {other.id} is already called {name!r}; choose another name, or rename that run")


_naming = threading.Lock()
"""A record lock excludes other processes, not other threads of this one."""


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One thread of one process at a time gives names. Raises RunError where that cannot be had."""
    path = home() / "runs" / ".names.lock"
    with _naming:
        try:
            lock = RunLock(path)
        except OSError as error:
            raise RunError(f"runs cannot be named ({error.strerror}); check that {path.parent} is writable") from error
        try:
            if not lock.acquire(patience=10):
                raise RunError(f"another process has held {path} for ten seconds; try again")
            yield
        finally:
            lock.release()
