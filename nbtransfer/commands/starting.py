"""Commands that start a run, or wait for one."""

from __future__ import annotations

import argparse

from nbtransfer.commands import choosing, controlling, sources
from nbtransfer.commands.finding import find_run, run_facts
from nbtransfer.commands.parsing import CommandContext, Outcome
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.text.counts import quantity
from nbtransfer.jobs.launcher import start as start_run
from nbtransfer.jobs.run import Run
from nbtransfer.jobs.unusual import unusual
from nbtransfer.pretrained.cards import card_of


def start_task(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Start a run on the named task."""
    context.draft.choose(task=choosing.task_of(args))
    return start(args, context)


def start(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Start a run from the draft and the options, which apply to this run only."""
    recipe = choosing.recipe_with(context.draft, choosing.options_of(args))
    return launch(recipe, context, stay=args.wait, name=getattr(args, "name", None), meant=args.unusual)


def pretrain_task(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Train shared layers from scratch on the named task."""
    context.draft.choose(task=choosing.task_of(args))
    return pretrain(args, context)


def pretrain(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Train shared layers from scratch on a source task."""
    recipe = choosing.recipe_with(context.draft, sources.source_options(args, context))
    return launch(recipe, context, stay=args.wait, name=getattr(args, "name", None), meant=args.unusual)


def launch(recipe: Recipe, context: CommandContext, *, stay: bool, name: str | None = None, meant: bool = False) -> Outcome:
    """Start a run, and wait for its end if asked to. Raises UsageError for settings that are usually typing errors."""
    controlling.ask_back(unusual(recipe), meant=meant)
    run = start_run(recipe, name=name)
    card = card_of(recipe)
    phases = recipe.resolved(card)
    context.say(f"{phases.name} on {card.name}, {quantity(phases.epochs, 'epoch')}; {phases.phases[-1].plan.summary(card)}")
    if stay:
        return _wait_outcome(run, None, context)
    return Outcome(run, f"{run.id} started; see `{context.prog} status {run.id}`", run_facts(run))


def wait(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Show a run's progress until it ends."""
    return _wait_outcome(find_run(args.run, context), args.timeout, context)


def _wait_outcome(run: Run, timeout: float | None, context: CommandContext) -> Outcome:
    context.watch(run, timeout)
    return Outcome(run, f"{run.id} {run.verdict}", run_facts(run), ok=is_healthy(run))


def is_healthy(run: Run) -> bool:
    """Whether it has not failed."""
    return run.state.status not in ("failed", "lost")
