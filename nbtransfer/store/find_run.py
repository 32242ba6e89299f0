"""Find the folder of a run by what people write: a name, an id, or a part of one."""

from __future__ import annotations

from pathlib import Path

from nbtransfer.core.text.names import short_list, suggest
from nbtransfer.errors import RunError
from nbtransfer.store import run_names
from nbtransfer.store.home import DEFAULT, home
from nbtransfer.store.paths import RunPaths
from nbtransfer.store.runs import list_ids


def open_run(text: str) -> RunPaths:
    """The folder of a run of this home folder by its name, its id, or an unambiguous part of the id's beginning or end."""
    named = run_names.find(text)
    if named is not None:
        return named
    known = list_ids()
    found = [run_id for run_id in known if text and (run_id.startswith(text) or run_id.endswith(text))]
    if len(found) == 1:
        return RunPaths(home() / "runs" / found[0])
    if len(found) > 1:
        raise RunError(f"{text!r} matches {len(found)} runs; write more of it: {', '.join(found[:4])}")
    if not known:
        raise RunError(f"there is no run {text!r}; {where_none_are()}")
    names = [name for run_id in known if (name := run_names.read(RunPaths(home() / "runs" / run_id)))]
    raise RunError(f"there is no run {text!r} in {home()}; {suggest(text, [*names, *known])}")


def open_folder(folder: Path) -> RunPaths:
    """A run folder wherever it lies, such as one that was moved or copied."""
    paths = RunPaths(folder.expanduser().absolute())
    if not paths.spec.is_file():
        raise RunError(f"{paths.root} is not a run folder; give one that holds a spec.json, such as .nbtransfer/runs/ID")
    return paths


def where_none_are() -> str:
    """Where there are no runs, and where there may be some."""
    elsewhere = [folder / DEFAULT for folder in Path.cwd().parents if (folder / DEFAULT / "runs").is_dir()]
    if elsewhere:
        return f"there are no runs in {home()}; there are some in {elsewhere[0]}: set NBTRANSFER_HOME to that folder"
    return f"there are no runs in {home()}; start one, or set NBTRANSFER_HOME to the folder that holds them"


def ask_for_one() -> str:
    """A clause that lists the runs to choose from, newest first."""
    labels = []
    for run_id in list_ids():
        name = run_names.read(RunPaths(home() / "runs" / run_id))
        labels.append(f"{run_id} ({name})" if name else run_id)
    return short_list(labels, most=4)
