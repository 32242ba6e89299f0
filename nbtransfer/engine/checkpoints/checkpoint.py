"""Tensors and facts about them on the disk: a safetensors file, and JSON with the sha256 of it.

A checkpoint appears under its name only when it is complete. Neither format can execute code. Neither detects a flipped
bit, hence the digests.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from nbtransfer.core import events as ev
from nbtransfer.core.messages import message
from nbtransfer.errors import CheckpointError
from nbtransfer.pretrained.weights import file_digest
from nbtransfer.store import atomic, checkpoints

TENSORS = "state.safetensors"


def save(folder: Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and facts to `folder`, replacing its contents."""
    draft = atomic.temporary_beside(folder)
    draft.mkdir(mode=0o700)  # not its parents: a run whose folder was removed must not recreate it
    try:
        _write({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, draft / TENSORS)
        checkpoints.write_facts(draft, {**facts, "sha256": file_digest(draft / TENSORS)})
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
    facts = checkpoints.read_facts(folder)
    try:
        if file_digest(folder / TENSORS) != facts.pop("sha256"):
            raise CheckpointError(f"{folder / TENSORS} is damaged: its sha256 is not the one it was written with")
        return load_file(folder / TENSORS), facts
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"{folder} is not a complete checkpoint ({error})") from error


def check_base(stored: str | None, current: str | None, run: str) -> None:
    """Raise CheckpointError if a run started from other pretrained weights (sha256) than the current ones."""
    if stored != current:
        raise CheckpointError(
            f"{run} started from other weights (sha256 {str(stored)[:8]}) than those now found ({str(current)[:8]}); "
            "restore the file it started from"
        )
