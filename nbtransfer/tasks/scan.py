"""Scan every file of a task once: header, content, copies. The result is stored per manifest."""

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
from nbtransfer.core.messages import message
from nbtransfer.errors import InputError
from nbtransfer.store import atomic
from nbtransfer.store.home import home, private_folder
from nbtransfer.tasks.decode import UndecodableError, check_header, load_rgb
from nbtransfer.tasks.identity import Stamp, digest_of
from nbtransfer.tasks.near_copies import ENOUGH_PIXELS, Array, NearCopy, near_copies, signature

SHOW_PROGRESS_FROM = 5_000


@dataclass(frozen=True, slots=True)
class FileFact:
    """One file: its path, the digest of its content, and its problem, if any; then it may have no digest."""

    path: str
    digest: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found in files.

    `duplicates` are groups of paths with the same bytes, each in the order of the files; `near_copies` pairs of files, by
    number, with the same picture in other bytes.
    """

    files: tuple[FileFact, ...]
    duplicates: tuple[tuple[str, ...], ...]
    near_copies: tuple[NearCopy, ...] = ()


def scan(paths: Sequence[Path]) -> Scan:
    """Scan files, or read the result of an earlier scan of the same files. Shows a progress bar for 5,000 files or more."""
    stamps = [_stamp(path) for path in paths]
    kept = home() / "scans" / f"{_key(paths, stamps)}.json"
    try:
        return from_plain(Scan, json.loads(kept.read_text(encoding="utf-8")))
    except (OSError, ValueError, InputError):
        pass
    looked = list(_look(paths))
    files = tuple(fact for fact, _ in looked)
    near = near_copies([found for _, found in looked], [fact.digest for fact in files])
    result = Scan(files, tuple(_duplicates(fact for fact in files if not fact.problem)), tuple(near))
    if all(stamp is None or stamp.is_settled for stamp in stamps):
        private_folder(kept.parent)
        atomic.write_text(kept, dumps(result))
    return result


def _stamp(path: Path) -> Stamp | None:
    try:
        return Stamp.of(path)
    except OSError:
        return None


def _key(paths: Sequence[Path], stamps: Sequence[Stamp | None]) -> str:
    state = hashlib.sha256(b"scan 2")
    for path, stamp in zip(paths, stamps, strict=True):
        state.update(f"{path}\0{stamp}\n".encode("utf-8", "surrogateescape"))
    return state.hexdigest()[:32]


def _look(paths: Sequence[Path]) -> Iterable[tuple[FileFact, Array | None]]:
    with ThreadPoolExecutor(max_workers=8) as pool:
        quiet = True if len(paths) < SHOW_PROGRESS_FROM else None  # None: only on a terminal
        yield from tqdm(
            pool.map(_fact, paths), total=len(paths), desc="checking images", unit="image", disable=quiet, leave=False
        )


def _fact(path: Path) -> tuple[FileFact, Array | None]:
    try:
        check_header(path)
        fact = FileFact(str(path), digest_of(path), None)
    except UndecodableError as error:
        return FileFact(str(path), "", str(error)), None
    except OSError as error:
        return FileFact(str(path), "", str(message("image.none", error=error.strerror or str(error)))), None
    try:
        return fact, signature(load_rgb(path, ENOUGH_PIXELS))
    except UndecodableError:
        return fact, None  # a run leaves it out, and says so


def _duplicates(files: Iterable[FileFact]) -> Iterable[tuple[str, ...]]:
    by_content: dict[str, list[str]] = defaultdict(list)
    for fact in files:
        by_content[fact.digest].append(fact.path)
    return [tuple(group) for group in by_content.values() if len(group) > 1]
