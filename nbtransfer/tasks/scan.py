"""Scan every file of a task once: header, content, copies. The result is stored per manifest."""

from __future__ import annotations

import functools
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from nbtransfer.core.codec import dumps, from_plain
from nbtransfer.core.messages import message
from nbtransfer.core.task import Reading
from nbtransfer.errors import InputError
from nbtransfer.store import atomic
from nbtransfer.store.home import home, private_folder
from nbtransfer.tasks.decode import AS_IS, TooDarkError, UndecodableError, brightest, check_header, load_rgb, white_level_of
from nbtransfer.tasks.identity import Stamp, digest_of
from nbtransfer.tasks.near_copies import ENOUGH_PIXELS, Array, NearCopy, near_copies, signature

SHOW_PROGRESS_FROM = 5_000


@dataclass(frozen=True, slots=True)
class FileFact:
    """One file: its path, the digest of its content, and its problem, if any; then it may have no digest.

    `brightest` is its largest value if it has 16 bits, else 0.
    """

    path: str
    digest: str
    problem: str | None
    brightest: int = 0


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found in files.

    `duplicates` are groups of paths with the same bytes, each in the order of the files; `near_copies` pairs of files, by
    number, with the same picture in other bytes.
    """

    files: tuple[FileFact, ...]
    duplicates: tuple[tuple[str, ...], ...]
    near_copies: tuple[NearCopy, ...] = ()

    @property
    def brightest(self) -> int:
        """The largest value in files of 16 bits; 0 if there are none."""
        return max((fact.brightest for fact in self.files), default=0)


def scan(paths: Sequence[Path], max_aspect: float = AS_IS.max_aspect) -> Scan:
    """Scan files, or read the result of an earlier scan of the same files. Shows a progress bar for 5,000 files or more."""
    stamps = [_stamp(path) for path in paths]
    kept = home() / "scans" / f"{_key(paths, stamps, max_aspect)}.json"
    try:
        return from_plain(Scan, json.loads(kept.read_text(encoding="utf-8")))
    except (OSError, ValueError, InputError):
        pass
    looked = list(_look(paths, Reading(max_aspect=max_aspect)))
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


def _key(paths: Sequence[Path], stamps: Sequence[Stamp | None], max_aspect: float) -> str:
    state = hashlib.sha256(f"scan 3 {max_aspect}".encode())
    for path, stamp in zip(paths, stamps, strict=True):
        state.update(f"{path}\0{stamp}\n".encode("utf-8", "surrogateescape"))
    return state.hexdigest()[:32]


def _look(paths: Sequence[Path], reading: Reading) -> Iterable[tuple[FileFact, Array | None]]:
    with ThreadPoolExecutor(max_workers=8) as pool:
        quiet = True if len(paths) < SHOW_PROGRESS_FROM else None  # None: only on a terminal
        yield from tqdm(
            pool.map(functools.partial(_fact, reading=reading), paths),
            total=len(paths),
            desc="checking images",
            unit="image",
            disable=quiet,
            leave=False,
        )


def _fact(path: Path, reading: Reading) -> tuple[FileFact, Array | None]:
    try:
        check_header(path, reading)
        fact = FileFact(str(path), digest_of(path), None, brightest(path, reading))
    except UndecodableError as error:
        return FileFact(str(path), "", str(error)), None
    except OSError as error:
        return FileFact(str(path), "", str(message("image.none", error=error.strerror or str(error)))), None
    try:
        white = replace(reading, white_level=white_level_of(fact.brightest)) if fact.brightest else reading
        return fact, signature(load_rgb(path, ENOUGH_PIXELS, white))
    except TooDarkError as error:  # the others are likely to be so, too
        return replace(fact, problem=str(error)), None
    except UndecodableError:
        return fact, None  # a run leaves it out, and says so


def _duplicates(files: Iterable[FileFact]) -> Iterable[tuple[str, ...]]:
    by_content: dict[str, list[str]] = defaultdict(list)
    for fact in files:
        by_content[fact.digest].append(fact.path)
    return [tuple(group) for group in by_content.values() if len(group) > 1]


def measured(reading: Reading, value: int) -> tuple[Reading, list[str]]:
    """How 16-bit images are read, by the largest value in any of them, and a note where that is not all 16 bits."""
    white = white_level_of(value) if value else reading.white_level
    if white == reading.white_level:
        return reading, []
    note = f"16-bit images with values up to {value:,}: {white:,} is read as white; white_level=65535 keeps all 16 bits"
    return replace(reading, white_level=white), [note]
