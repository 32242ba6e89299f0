"""Commands that control a run."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

from nbtransfer.commands.finding import find_run, run_facts
from nbtransfer.commands.parsing import CommandContext, Outcome, UsageError
from nbtransfer.core.state import RunState
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import short_list
from nbtransfer.errors import NbTransferError
from nbtransfer.jobs.launcher import repeat
from nbtransfer.jobs.run import Run
from nbtransfer.jobs.unusual import unusual_value
from nbtransfer.usercode.trusted import is_trusted


def pause(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Pause a run after its present step."""
    run = find_run(args.run, context)
    return _status_outcome(run, run.pause())


def resume(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Continue a run from where it was."""
    run = _with_images(find_run(args.run, context), args)
    state = run.resume()
    begun = f", from step {state.resumed.step}" if state.resumed and state.status == "running" else ""
    return Outcome(run, f"{run.id} is {state.status}{begun}", run_facts(run))


def stop(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Stop a run after its present step and keep the best model so far."""
    run = find_run(args.run, context)
    over = run.state.over
    state = run.stop()
    what = f"has already ended: {state.headline}" if over else "will stop after this step"
    return Outcome(run, f"{run.id} {what}", run_facts(run))


def kill(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """End the worker of a run at once."""
    run = find_run(args.run, context)
    over = run.state.over
    run.kill()
    killed = run.state.status == "lost" and not over
    what = (
        "has lost its worker; resume continues from its newest checkpoint" if killed else f"has no worker: {run.state.headline}"
    )
    return Outcome(run, f"{run.id} {what}", run_facts(run))


def checkpoint(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Save a checkpoint after the present step."""
    run = find_run(args.run, context)
    return _status_outcome(run, run.checkpoint())


def go_on(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Train a run that has ended further, as a new run."""
    settings = {name: getattr(args, name) for name in ("epochs", "lr", "name") if name in args}
    ask_back_about(settings, meant=args.unusual)
    run = find_run(args.run, context).continue_(**settings)
    return Outcome(run, f"{run.id} started; see `{context.prog} status {run.id}`", run_facts(run))


def change(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Change a run from its next step on; the changes are made in the order freeze, thaw, lr, epochs."""
    run = find_run(args.run, context)
    changes = [name for name in ("freeze", "thaw", "lr", "epochs") if name in args]
    if not changes:
        raise UsageError("say what to change: --freeze LAYER, --thaw LAYER, --lr NUMBER or --epochs NUMBER")
    ask_back_about(vars(args), meant=args.unusual)
    if "freeze" in args:
        run.freeze(*args.freeze)
    if "thaw" in args:
        run.thaw(*args.thaw)
    if "lr" in args:
        run.set_lr(args.lr)
    if "epochs" in args:
        run.set_epochs(args.epochs)
    state = run.state
    how = f"; {state.plan.summary}, {state.plan.how}" if state.plan else ""
    return Outcome(run, f"{run.id}: {quantity(len(changes), 'change')} from the next step on{how}", run_facts(run))


def repeat_run(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Repeat a run, including its changes."""
    run = repeat(_with_images(find_run(args.run, context), args))
    return Outcome(run, f"{run.id} started; see `{context.prog} status {run.id}`", run_facts(run))


def rename(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Give a run a name."""
    try:
        run = find_run(args.run, context)
    except NbTransferError:
        if args.run is not None and _is_run(args.name, context):
            raise UsageError(f"the new name comes first: {context.prog} rename {args.run} {args.name}") from None
        raise
    run.rename(args.name)
    return Outcome(run, f"{run.id} is now called {args.name!r}" if args.name else f"{run.id} now has no name", run_facts(run))


def _is_run(name: str, context: CommandContext) -> bool:
    try:
        find_run(name, context)
    except NbTransferError:
        return False
    return True


def delete(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Remove a run with its model, scores and checkpoints."""
    run = find_run(args.run, context)
    folder = str(run.paths.root)
    run.delete()
    return Outcome(None, f"{run.id} is deleted, with all that was in {folder}", {"id": run.id, "folder": folder})


def ask_back(clauses: Iterable[str], *, meant: bool) -> None:
    """Raise UsageError with what is unusual, unless it was said to be meant."""
    if (found := "; ".join(clauses)) and not meant:
        raise UsageError(f"{found}; change it, or add --unusual if you mean it")


def ask_back_about(settings: Mapping[str, Any], *, meant: bool) -> None:
    """The same for a learning rate and a length among settings."""
    ask_back((found for name in ("lr", "epochs") for found in unusual_value(name, settings.get(name))), meant=meant)


def _with_images(run: Run, args: argparse.Namespace) -> Run:
    return run.at(args.data) if "data" in args else run


def trust(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Show or trust the custom code of a run."""
    run = find_run(args.run, context)
    codes = run.recipe.code
    plain = {"id": run.id, "code": [{"name": c.name, "sha256": c.sha256, "trusted": is_trusted(c)} for c in codes]}
    if not codes:
        return Outcome(run, f"{run.id} has no custom code", plain)
    if args.yes:
        run.trust_code()
        return Outcome(run, f"{short_list([c.name for c in codes])} of {run.id} may run here from now on", plain)
    texts = "\n\n".join(f"# {c.name}.py, sha256 {c.sha256}\n{c.source.rstrip()}" for c in codes)
    return Outcome(run, f"{texts}\n\nIf you trust this: `{context.prog} trust {run.id} --yes`", plain)


def _status_outcome(run: Run, state: RunState) -> Outcome:
    return Outcome(run, f"{run.id} is {state.status}; {state.message or 'everything is on the disk'}", run_facts(run))
