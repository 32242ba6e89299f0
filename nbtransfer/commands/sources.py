"""Commands about source tasks: train shared layers from scratch, and save those of a run for other tasks."""

from __future__ import annotations

import argparse

from nbtransfer.commands import choosing
from nbtransfer.commands.finding import find_run
from nbtransfer.commands.parsing import CommandContext, Outcome, UsageError
from nbtransfer.jobs.launcher import PRETRAINING, SOURCE_EPOCHS
from nbtransfer.pretrained import saved


def source_options(args: argparse.Namespace, context: CommandContext) -> dict[str, object]:
    """The fields of a recipe for a source task; raises UsageError for options that contradict it."""
    for name in ("strategy", "weights", "freeze", "thaw"):
        if name in args:
            raise UsageError(f"pretrain starts from random weights, and everything learns; leave --{name} out, or use `start`")
    epochs = context.draft.choices.settings.get("epochs", SOURCE_EPOCHS)
    return {"epochs": epochs, **choosing.options_of(args), **PRETRAINING}


def save_backbone(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Save the shared layers of a run under a name, for other tasks."""
    card = find_run(args.run, context).save_backbone(args.name)
    return Outcome(card, f"saved as {card.name}: {card.lineage}", card)


def add_backbone(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Add shared layers that were saved elsewhere."""
    card = saved.add_backbone(args.folder, args.name, trust=args.yes)
    return Outcome(card, f"added as {card.name}: {card.lineage}", card)


def delete_backbone(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Delete saved shared layers."""
    saved.delete_backbone(args.name)
    return Outcome(None, f"{saved.PREFIX}{saved.check_name(args.name)} is deleted", {"deleted": args.name})
