"""Exported models: a folder with the weights, everything needed to use them, and an example with its answer.

    model.json    backbone, classes, preprocessing, the answer to the example, and where the model comes from
    example.png   a synthetic image
    README.md     the same for people, with code that uses the model

and the files of the format, see `formats`. In format 1 of model.json, `input` has neither `crop_mode` nor `width`: the centre
of every image is a square. That is what they default to. Without `exported_as`, it is "nbtransfer".
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from nbtransfer.core.codec import dumps, to_plain
from nbtransfer.core.evaluation import Evaluation
from nbtransfer.core.formats.numbers import EXPORT
from nbtransfer.core.recipe import Recipe
from nbtransfer.engine.handoff import formats
from nbtransfer.engine.handoff.example import FILE, store_example
from nbtransfer.engine.handoff.readme import readme
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.engine.versions import installed_versions
from nbtransfer.errors import InputError
from nbtransfer.store import atomic

FACTS = "model.json"


def export(
    model: TransferModel,
    recipe: Recipe,
    scores: tuple[Evaluation, ...],
    folder: str | os.PathLike[str],
    name: str = formats.DEFAULT,
    caveats: Sequence[str] = (),
) -> Path:
    """Write the model to a new folder in the format called `name`, with what to know before its scores are believed.

    Raises InputError if the folder exists and is not empty, or if this model cannot have that format; MissingExtraError if a
    package for it is missing.
    """
    target = Path(folder).expanduser().absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} exists already; give a new folder")
    with torch.random.fork_rng(devices=[]):  # an original model is built with random numbers, which belong to the caller
        formats.find_format(name).check(model, recipe)
        _publish(target, lambda draft: _write(draft, model, recipe, scores, name, caveats))
    return target


def _publish(target: Path, write: Callable[[Path], None]) -> None:
    """All that `write` writes, or nothing."""
    draft = atomic.temporary_beside(target)
    try:
        draft.mkdir(parents=True)
        write(draft)
        if target.exists():
            target.rmdir()
        atomic.publish(draft, target)
    except OSError as error:
        raise InputError(f"the model cannot be written to {target} ({error.strerror}); give another folder") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write(
    folder: Path, model: TransferModel, recipe: Recipe, scores: tuple[Evaluation, ...], name: str, caveats: Sequence[str]
) -> None:
    example = store_example(model)
    example.image.save(folder / FILE)
    written = formats.find_format(name).write(folder, model, recipe, example)
    facts = {
        **_facts(model, recipe, scores),
        "caveats": list(caveats),
        "exported_as": name,
        "example": example.facts(),
        **written.facts,
    }
    atomic.write_text(folder / FACTS, dumps(facts, indent=1))
    atomic.write_text(folder / "README.md", readme(model, recipe, scores, written, caveats))


def _facts(model: TransferModel, recipe: Recipe, scores: tuple[Evaluation, ...]) -> dict[str, Any]:
    return {
        "format": EXPORT,
        "backbone": model.card.built_as,  # which exists everywhere
        "lineage": to_plain(recipe.lineage(model.card)),
        "classes": model.classes,
        "input": to_plain(model.spec),
        "reading": to_plain(model.reading),
        "task": recipe.task.name,
        "strategy": recipe.strategy_name,
        "seed": recipe.seed,
        "evaluations": to_plain(scores),
        "versions": installed_versions(),
    }
