"""Find the run that a command is about."""

from __future__ import annotations

from typing import Any

from nbtransfer.commands.parsing import CommandContext
from nbtransfer.errors import InputError
from nbtransfer.jobs import own_runs
from nbtransfer.jobs.run import Run, open_run
from nbtransfer.store import runs
from nbtransfer.store.find_run import ask_for_one, where_none_are
from nbtransfer.store.home import home


def find_run(name: str | None, context: CommandContext) -> Run:
    """The run of this name, id or part of one, or in this variable of a notebook.

    Without a name a notebook means the run that it started or attached last: another may have started a newer one. Where there
    is none, or on the command line, it is the newest, but a notebook is asked if there are several.
    """
    if name is not None:
        variable = context.names.get(name)
        return variable if isinstance(variable, Run) else open_run(name)
    own = own_runs.newest() if context.place == "notebook" else None
    if own is not None:
        return Run(own)
    known = runs.list_ids()
    if not known:
        raise InputError(where_none_are())
    if context.place == "notebook" and len(known) > 1:
        raise InputError(f"this notebook has started no run; name one of those in {home()}: {ask_for_one()}")
    return open_run(known[0])


def run_facts(run: Run) -> dict[str, Any]:
    """A run as plain data."""
    state = run.state
    return {
        "id": run.id,
        "name": run.name,
        "status": state.status,
        "message": state.message,
        "epoch": len(state.history),
        "epochs": state.epochs,
        "best_epoch": state.best.epoch if state.best else None,
        "val_accuracy": state.best.val_accuracy if state.best else None,
        "folder": str(run.paths.root),
    }
