"""Tensors and facts about them on the disk: a safetensors file, and JSON with the sha256 of it.

A checkpoint appears under its name only when it is complete. Neither format can execute code. Neither detects a flipped
bit, hence the digests.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from nbtransfer.core import events as ev
from nbtransfer.core.codec import dumps
from nbtransfer.core.messages import message
from nbtransfer.errors import CheckpointError
from nbtransfer.pretrained.weights import file_digest
from nbtransfer.store import atomic

TENSORS, FACTS = "state.safetensors", "state.json"
_NAME = re.compile(r"step-\d{8,}(-\d\d)?")


def save(folder: Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and facts to `folder`, replacing its contents."""
    draft = atomic.temporary_beside(folder)
    draft.mkdir(mode=0o700)  # not its parents: a run whose folder was removed must not recreate it
    try:
        _write({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, draft / TENSORS)
        digest = file_digest(draft / TENSORS)
        facts = {**facts, "sha256": digest}
        atomic.write_text(draft / FACTS, dumps({**facts, "check": _check(facts)}, indent=1))
        if folder.exists():
            shutil.rmtree(folder)
        atomic.publish(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def save_when_room(
    folder: Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], rest: Callable[[], bool]
) -> Iterator[ev.Event]:
    """Save; if the disk is full, report it and try again after each `rest()`, until that returns False."""
    waited = False
    while True:
        try:
            save(folder, tensors, facts)
            break
        except OSError as error:
            if not atomic.no_room(error) or not rest():
                raise
            if not waited:
                yield ev.Paused(message("pause.disk"))
            waited = True
    if waited:
        yield ev.Continued()


def _check(facts: Mapping[str, Any]) -> str:
    """A digest of the facts: with a flipped bit, they may still be valid JSON."""
    return hashlib.sha256(dumps(facts).encode()).hexdigest()


def _write(tensors: dict[str, torch.Tensor], path: Path) -> None:
    try:
        save_file(tensors, path)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def load(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The inverse of `save`; raises CheckpointError if anything is missing or altered."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        if facts.pop("check") != _check(facts):
            raise CheckpointError(f"{folder / FACTS} is damaged: its text is not the one that was written")
        if file_digest(folder / TENSORS) != facts.pop("sha256"):
            raise CheckpointError(f"{folder / TENSORS} is damaged: its sha256 is not the one it was written with")
        return load_file(folder / TENSORS), facts
    except (OSError, ValueError, KeyError, AttributeError, RecursionError, SafetensorError) as error:
        raise CheckpointError(f"{folder} is not a complete checkpoint ({error})") from error


def check_base(stored: str | None, current: str | None, run: str) -> None:
    """Raise CheckpointError if a run started from other pretrained weights (sha256) than the current ones."""
    if stored != current:
        raise CheckpointError(
            f"{run} started from other weights (sha256 {str(stored)[:8]}) than those now found ({str(current)[:8]}); "
            "restore the file it started from"
        )


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
