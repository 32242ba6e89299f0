"""The checkpoints of a run on the disk: their names, their order, and the facts that say what is in them."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbtransfer.core.codec import dumps
from nbtransfer.core.formats.numbers import CHECKPOINT
from nbtransfer.core.messages import message
from nbtransfer.errors import CheckpointError, FormatError
from nbtransfer.store import atomic

FACTS = "state.json"
_NAME = re.compile(r"step-\d{8,}(-\d\d)?")


def name_for(parent: Path, step: int) -> str:
    """A name for a new checkpoint after `step` steps. Names sort in the order of creation."""
    name = f"step-{step:08d}"
    others = (f"{name}-{number:02d}" for number in range(1, 100))
    return next(new for new in (name, *others) if not (parent / new).exists())


def is_name(name: str) -> bool:
    """Whether `name` is a valid name of a checkpoint."""
    return _NAME.fullmatch(name) is not None


def newest_first(parent: Path) -> list[str]:
    """The names of all checkpoints, newest first."""
    return sorted((p.name for p in parent.iterdir() if is_name(p.name)), reverse=True)


def set_aside(folder: Path) -> None:
    """Rename a damaged checkpoint so that it is no longer used."""
    folder.replace(folder.with_name(f"damaged-{secrets.token_hex(2)}-{folder.name}"))


def prune(parent: Path, keep_last: int, keep: frozenset[str]) -> None:
    """Remove all but the newest `keep_last` checkpoints and those named in `keep`."""
    for name in newest_first(parent)[keep_last:]:
        if name not in keep:
            shutil.rmtree(parent / name, ignore_errors=True)


def write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the facts with a digest of them: with a flipped bit, they may still be valid JSON."""
    atomic.write_text(folder / FACTS, dumps({**facts, "check": _digest(facts)}, indent=1))


def read_facts(folder: Path) -> dict[str, Any]:
    """What `write_facts` wrote; raises CheckpointError if anything is missing or altered."""
    try:
        facts: dict[str, Any] = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        if facts.pop("check") != _digest(facts):
            raise CheckpointError(f"{folder / FACTS} is damaged: its text is not the one that was written")
    except (OSError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{folder} is not a complete checkpoint ({error})") from error
    return facts


def require_known_format(name: str, facts: Mapping[str, Any]) -> None:
    """Raise FormatError if another version wrote the checkpoint of this name, with these facts."""
    number = facts.get("format", 1)
    if number not in range(1, CHECKPOINT + 1):  # format 1 had no tensors of best epochs besides its own
        raise FormatError(message("fail.format", name=name, number=number, known=CHECKPOINT))


def require_resumable(parent: Path) -> None:
    """Raise FormatError if another version wrote the newest checkpoint that is not damaged."""
    for name in newest_first(parent):
        try:
            facts = read_facts(parent / name)
        except CheckpointError:
            continue  # the worker says so, and takes the one before
        require_known_format(name, facts)
        break


def _digest(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(dumps(facts).encode()).hexdigest()
