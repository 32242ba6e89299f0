"""Commands that choose the next run, and how choices become a recipe."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from nbtransfer.commands.parsing import CommandContext, Outcome, UsageError
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.recipe import Recipe
from nbtransfer.jobs import warm
from nbtransfer.jobs.draft import Draft
from nbtransfer.jobs.unusual import unusual_rates
from nbtransfer.tasks.task import Task
from nbtransfer.usercode.module import code as write_code

_FIELDS = {f.name for f in fields(Recipe)} - {"task", "freeze"}
TASK_OPTIONS = (
    "holdout", "test", "seed", "per_class", "groups", "layout", "train", "val", "ignore", "white_level", "max_aspect",
)  # fmt: skip


def task_of(args: argparse.Namespace) -> Task:
    """The task named on a command line."""
    options = {name: getattr(args, name) for name in TASK_OPTIONS if name in args}
    if args.skip_bad:
        options |= {"unreadable": "skip", "duplicates": "skip"}
    return Task.named(args.task, **options)


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of a recipe set on a command line."""
    options = {name: value for name, value in vars(args).items() if name in _FIELDS}
    for file in options.pop("code", ()):
        write_code(Path(file).stem, read_text(Path(file)))
    if "freeze" in args and "thaw" in args:
        raise UsageError("give either --freeze or --thaw: the first starts with all layers learning, the second with none")
    if "freeze" in args:
        options["freeze"] = FreezePlan.none().freeze(*args.freeze)
    if "thaw" in args:
        options["freeze"] = FreezePlan.all().thaw(*args.thaw)
    return options


def read_text(file: Path) -> str:
    """The text of a file; raises UsageError."""
    try:
        return file.expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error


def recipe_with(draft: Draft, options: Mapping[str, Any]) -> Recipe:
    """The draft's recipe with these fields replaced; the draft does not change."""
    trial = Draft()
    trial.choices = draft.choices
    trial.choose(**options)
    return trial.recipe()


def data(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Set the target task."""
    task = task_of(args)
    context.draft.choose(task=task)
    warm.keep()
    return Outcome(task, repr(task), task)


def backbone(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Choose the shared layers."""
    weights = {"weights": args.weights} if "weights" in args else {}
    context.draft.choose(backbone=args.backbone, **weights)
    return _draft_outcome(context)


def freeze(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Freeze more layers."""
    context.draft.choose(freeze=context.draft.plan.freeze(*args.layers))
    return _draft_outcome(context)


def thaw(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Let more layers learn."""
    context.draft.choose(freeze=context.draft.plan.thaw(*args.layers, lr=args.lr))
    for found in unusual_rates(FreezePlan().thaw(*args.layers, lr=args.lr)):
        context.say(f"{found}; `{context.prog} undo` takes it back")  # `start` asks, as for all settings
    return _draft_outcome(context)


def undo(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Take back the last choice."""
    context.draft.undo()
    return _draft_outcome(context)


def _draft_outcome(context: CommandContext) -> Outcome:
    warm.keep()
    return Outcome(context.draft, repr(context.draft), context.draft.plan)
