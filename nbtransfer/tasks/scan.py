"""Scan every file of a task once: header, size, exact duplicates. The result is stored per manifest."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from nbtransfer.core.codec import dumps, from_plain
from nbtransfer.errors import InputError
from nbtransfer.store import atomic
from nbtransfer.store.home import home, private_folder
from nbtransfer.tasks.decode import UndecodableError, check_header

SHOW_PROGRESS_FROM = 5_000


@dataclass(frozen=True, slots=True)
class FileFact:
    """One file: its path, bytes, time of last change, and problem, if any."""

    path: str
    size: int
    mtime_ns: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class Scan:
    """`duplicates` are groups of paths with the same bytes, each in the order of the files."""

    files: tuple[FileFact, ...]
    duplicates: tuple[tuple[str, ...], ...]


def scan(paths: Sequence[Path]) -> Scan:
    """Scan files, or read the result of an earlier scan of the same files. Shows a progress bar for 5,000 files or more."""
    stamps = [_stamp(path) for path in paths]
    kept = home() / "scans" / f"{_key(paths, stamps)}.json"
    try:
        return from_plain(Scan, json.loads(kept.read_text(encoding="utf-8")))
    except (OSError, ValueError, InputError):
        pass
    files = tuple(_look(paths, stamps))
    result = Scan(files, tuple(_duplicates([fact for fact in files if not fact.problem])))
    private_folder(kept.parent)
    atomic.write_text(kept, dumps(result))
    return result


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (-1, -1)
    return stat.st_size, stat.st_mtime_ns


def _key(paths: Sequence[Path], stamps: Sequence[tuple[int, int]]) -> str:
    state = hashlib.sha256(b"scan 1")
    for path, stamp in zip(paths, stamps, strict=True):
        state.update(f"{path}\0{stamp}\n".encode("utf-8", "surrogateescape"))
    return state.hexdigest()[:32]


def _look(paths: Sequence[Path], stamps: Sequence[tuple[int, int]]) -> Iterable[FileFact]:
    with ThreadPoolExecutor(max_workers=8) as pool:
        problems = pool.map(_problem, paths)
        quiet = True if len(paths) < SHOW_PROGRESS_FROM else None  # None: only on a terminal
        bar = tqdm(problems, total=len(paths), desc="checking images", unit="image", disable=quiet, leave=False)
        for path, (size, mtime), problem in zip(paths, stamps, bar, strict=True):
            yield FileFact(str(path), size, mtime, problem)


def _problem(path: Path) -> str | None:
    try:
        check_header(path)
    except UndecodableError as error:
        return str(error)
    return None


def _duplicates(files: Iterable[FileFact]) -> Iterable[tuple[str, ...]]:
    """Only files of the same size can be equal, so only those are read."""
    by_size: dict[int, list[str]] = defaultdict(list)
    for fact in files:
        by_size[fact.size].append(fact.path)
    by_content: dict[bytes, list[str]] = defaultdict(list)
    for path in (p for group in by_size.values() if len(group) > 1 for p in group):
        with Path(path).open("rb") as stream:
            by_content[hashlib.file_digest(stream, "sha256").digest()].append(path)
    return [tuple(group) for group in by_content.values() if len(group) > 1]
