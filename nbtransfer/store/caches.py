"""Activations computed once, for use by any run: `caches/KEY/`, complete or absent.

    facts.json   what the values are, and their sizes
    NAME.bin     the values, as they lie in memory

A cache is written under a temporary name and renamed when complete, so a partial one is never read. The key is a digest
of everything that the values depend on: a cache never goes stale, only out of use.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbtransfer.core.calls import checked
from nbtransfer.core.codec import dumps
from nbtransfer.core.text.counts import byte_size
from nbtransfer.core.text.names import suggest
from nbtransfer.core.text.tables import html_table, text_table
from nbtransfer.errors import InputError, RunError
from nbtransfer.store import atomic
from nbtransfer.store.home import home, private_folder
from nbtransfer.store.lock import RunLock, is_held

FACTS = "facts.json"
MOST_BYTES = 20 * 2**30


@dataclass(frozen=True, slots=True)
class Cache:
    """One cache: its key, its contents, its bytes, and when it was last used (seconds since 1970)."""

    key: str
    folder: Path
    facts: dict[str, Any]
    bytes: int
    used: float


class CacheList(tuple[Cache, ...]):
    """Caches that print as a table."""

    __slots__ = ()
    _HEADER = ("key", "task", "backbone", "behind", "images", "size", "last used")

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for cache in self:
            used = time.strftime("%Y-%m-%d %H:%M", time.localtime(cache.used))
            yield cache.key[:8], *_contents(cache.facts), byte_size(cache.bytes), used

    def __repr__(self) -> str:
        return text_table(self._HEADER, self._rows()) if self else "there are no caches"

    def _repr_html_(self) -> str:
        return html_table(self._HEADER, self._rows())


def _contents(facts: dict[str, Any]) -> tuple[object, ...]:
    """Task, backbone, layer and number of images; a dash for what another version of nbtransfer wrote differently."""
    try:
        images: object = sum(split["images"] for split in facts["splits"].values())
    except (KeyError, TypeError, AttributeError):
        images = "–"
    return *(facts.get(name, "–") for name in ("task", "backbone", "layer")), images


@checked()
def caches() -> CacheList:
    """All caches of the home folder, the one used last first: activations computed once, kept for the next run."""
    try:
        folders = [p for p in _folder().iterdir() if p.is_dir() and not p.name.startswith(".")]
    except OSError:
        return CacheList()
    found = (find(p.name) for p in folders)
    return CacheList(sorted((cache for cache in found if cache), key=lambda cache: -cache.used))


def find(key: str) -> Cache | None:
    """The cache with this key, if it exists and is complete."""
    folder = _folder() / key
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in facts["sizes"]}
        used = (folder / FACTS).stat().st_mtime
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Cache(key, folder, facts, sum(sizes.values()), used) if sizes == facts["sizes"] else None


def use(cache: Cache) -> None:
    """Note that a cache was used just now."""
    with contextlib.suppress(OSError):  # owned by another user, or being cleared: it can still be read
        os.utime(cache.folder / FACTS)


@checked(name="clear_caches")
def clear(*keys: str) -> int:
    """Remove the caches whose keys begin with one of these, or all of them; returns the bytes freed.

    A run that uses or writes one is not disturbed. Without a key, partial caches of killed runs are removed as well. Raises
    InputError, and removes nothing, if no key begins with one of these.
    """
    known = [cache.key for cache in caches()]
    for word in keys:
        if not any(key.startswith(word) for key in known):
            hint = suggest(word, [key[:8] for key in known]) if known else "there are no caches"
            raise InputError(f"no key begins with {word!r}; {hint}")
    return remove(*keys)


def remove(*keys: str) -> int:
    """The same for caches that another process may have removed meanwhile."""
    targets = [cache.folder for cache in caches() if not keys or cache.key.startswith(keys)]
    targets += [] if keys else _leftovers()
    freed = sum(_bytes(target) for target in targets)
    for target in targets:
        shutil.rmtree(target, ignore_errors=True)
    return freed


def room(budget: int | None) -> int:
    """Bytes that all caches together may take: the budget, else 20 GiB, or half of the free space if that is less."""
    if budget is not None:
        return budget
    free = shutil.disk_usage(private_folder(home())).free
    return min(MOST_BYTES, free // 2 + sum(cache.bytes for cache in caches()))


def make_room(wanted: int, budget: int | None) -> None:
    """Remove the least recently used caches until `wanted` more bytes fit into the budget.

    Partial caches of killed runs go first. Raises RunError if the bytes cannot fit at all.
    """
    for path in _leftovers():
        shutil.rmtree(path, ignore_errors=True)
    most, kept = room(budget), list(caches())
    if wanted > most:
        raise RunError(f"there is room for {byte_size(most)} on the disk, not for {byte_size(wanted)}")
    while kept and wanted + sum(cache.bytes for cache in kept) > most:
        remove(kept.pop().key)


@contextmanager
def draft(key: str) -> Iterator[Path]:
    """A folder to write a cache into; removed unless `publish` was called. Hold the key with `alone` first."""
    for abandoned in private_folder(_folder()).glob(f".tmp-*-{key}"):
        shutil.rmtree(abandoned, ignore_errors=True)
    folder = atomic.temporary_beside(private_folder(_folder()) / key)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, key: str, facts: dict[str, Any]) -> Cache:
    """Move a complete draft to its key. If another run was faster, its cache is as good."""
    sizes = {p.name: p.stat().st_size for p in folder.iterdir()}
    atomic.write_text(folder / FACTS, dumps({**facts, "sizes": sizes}, indent=1))
    if find(key) is None:
        shutil.rmtree(_folder() / key, ignore_errors=True)  # damaged, if there at all
    with contextlib.suppress(OSError):
        atomic.publish(folder, _folder() / key)
    found = find(key)
    if found is None:
        raise RunError(f"{_folder() / key} could not be written; see who owns it")
    return found


@contextmanager
def alone(key: str, waiting: Callable[[], bool]) -> Iterator[bool]:
    """Let one process at a time build a cache. The others wait while `waiting()` is true; False if they gave up.

    This is a lock, which is released when its process ends.
    """
    private_folder(_folder())
    path = _lock(key)
    lock = _try_lock(path, 0.0)
    while lock is None and waiting():
        lock = _try_lock(path, 0.2)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            path.unlink(missing_ok=True)
            lock.release()


def _try_lock(path: Path, patience: float) -> RunLock | None:
    """The lock; None if another process holds it, or just released it and removed its file."""
    lock = RunLock(path)
    if lock.acquire(patience) and lock.in_place:
        return lock
    lock.release()
    return None


def _leftovers() -> list[Path]:
    """Incomplete caches that no process is writing."""
    folders = list(_folder().iterdir()) if _folder().is_dir() else []
    return [path for path in folders if path.is_dir() and find(path.name) is None and not _is_being_written(path)]


def _is_being_written(folder: Path) -> bool:
    """Whether another process is writing this cache, or a draft of it, right now."""
    return is_held(_lock(folder.name.rpartition("-")[2]))


def _lock(key: str) -> Path:
    return _folder() / f".{key}.lock"


def _bytes(folder: Path) -> int:
    total = 0
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


def _folder() -> Path:
    return home() / "caches"
