"""Find the run that a command is about."""

from __future__ import annotations

from typing import Any

from nbtransfer.commands.parsing import CommandContext
from nbtransfer.core.text.paths import short_path
from nbtransfer.errors import InputError
from nbtransfer.jobs.run import Run, attach
from nbtransfer.store import runs
from nbtransfer.store.home import home


def find_run(name: str | None, context: CommandContext) -> Run:
    """The run with this id or part of it, or in this variable of a notebook; without a name, the newest."""
    if name is not None:
        variable = context.names.get(name)
        return variable if isinstance(variable, Run) else attach(name)
    known = runs.list_ids()
    if not known:
        raise InputError(f"there are no runs in {short_path(home())}; start one with `{context.prog} start`")
    return attach(known[0])


def run_facts(run: Run) -> dict[str, Any]:
    """A run as plain data."""
    state = run.state
    return {
        "id": run.id,
        "status": state.status,
        "message": state.message,
        "epoch": len(state.history),
        "epochs": state.epochs,
        "best_epoch": state.best.epoch if state.best else None,
        "val_accuracy": state.best.val_accuracy if state.best else None,
        "folder": str(run.paths.root),
    }
