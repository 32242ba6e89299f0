"""Create, find and list run folders."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from nbtransfer.core.code import MOST_BYTES as MOST_SOURCE
from nbtransfer.core.code import Code
from nbtransfer.core.codec import dumps, from_plain, to_plain
from nbtransfer.core.formats.numbers import RUN, refusal
from nbtransfer.core.formats.run import upgrade, upgrade_sample
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.repeat import Repeat
from nbtransfer.core.task import Sample, TaskCard
from nbtransfer.errors import InputError, RunError
from nbtransfer.store import atomic
from nbtransfer.store.home import home, private_folder
from nbtransfer.store.paths import RunPaths

MOST_BYTES = 64 * 2**20
_COLUMNS = tuple(field.name for field in fields(Sample))
ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}")


def create(recipe: Recipe, repeat: Repeat | None = None) -> RunPaths:
    """A new run folder with its recipe, manifest and history; it appears under its id only when complete."""
    runs = private_folder(home() / "runs")
    run_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    draft = RunPaths(atomic.temporary_beside(runs / run_id))
    try:
        _write(draft, run_id, recipe, repeat or Repeat())
        atomic.publish(draft.root, runs / run_id)
    except OSError as error:
        shutil.rmtree(draft.root, ignore_errors=True)
        raise RunError(f"the run cannot be written to {runs} ({error.strerror}); free space or set NBTRANSFER_HOME") from error
    return RunPaths(runs / run_id)


def _write(paths: RunPaths, run_id: str, recipe: Recipe, repeat: Repeat) -> None:
    for folder in (paths.root, *paths.folders):
        private_folder(folder)
    paths.lock.touch(mode=0o600)
    paths.manifest.write_text("".join(_manifest_lines(recipe.task.samples)), encoding="ascii")
    for code in recipe.code:
        (paths.code / f"{code.name}.py").write_text(code.source, encoding="utf-8", newline="")
    spec = {"format": RUN, "id": run_id, "created": time.time(), "recipe": _encode(recipe), "repeat": repeat}
    paths.spec.write_text(dumps(spec, indent=1), encoding="ascii")


def list_ids() -> list[str]:
    """Ids of all runs, the one that was made last first."""
    try:
        found = [p for p in (home() / "runs").iterdir() if ID.fullmatch(p.name)]
    except OSError:
        return []
    return [path.name for path in sorted(found, key=lambda path: (_created(path), path.name), reverse=True)]


_times: dict[Path, float] = {}
"""When runs were made; that never changes."""


def _created(folder: Path) -> float:
    """When a run was made, in seconds since 1970: its id tells only the second, and clocks are set."""
    if folder not in _times:
        try:
            _times[folder] = float(json.loads(RunPaths(folder).spec.read_bytes())["created"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return _time_in_id(folder.name)
    return _times[folder]


def _time_in_id(run_id: str) -> float:
    try:
        return time.mktime(time.strptime(run_id[:15], "%Y%m%d-%H%M%S"))
    except (ValueError, OverflowError):  # a folder that somebody made
        return 0.0


def delete(paths: RunPaths) -> None:
    """Remove a run folder with all that is in it; it has no name from the first moment on. Raises RunError."""
    doomed = atomic.temporary_beside(paths.root)
    try:
        paths.root.rename(doomed)
    except OSError as error:
        raise RunError(f"run {paths.id} cannot be removed ({error.strerror}); check the permissions of {paths.root}") from error
    try:
        shutil.rmtree(doomed)
    except OSError as error:
        raise RunError(f"parts of run {paths.id} are left in {doomed} ({error.strerror}); check their permissions") from error


def read_spec(paths: RunPaths) -> dict[str, Any]:
    """The contents of spec.json in the present format; raises RunError when a newer version of nbtransfer wrote it."""
    try:
        with paths.spec.open("rb") as file:
            spec: dict[str, Any] = json.loads(file.read(MOST_BYTES))  # a longer file is not ours
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"run {paths.id} cannot be read: {error}") from error
    if not isinstance(spec, dict) or not isinstance(spec.get("recipe"), dict):
        raise RunError(f"run {paths.id} cannot be read: its spec.json contains no recipe")
    if why := refusal(spec.get("format"), RUN):
        raise RunError(f"run {paths.id} {why}")
    return upgrade(spec)


def read_recipe(paths: RunPaths) -> Recipe:
    """The recipe of a run, with its task's manifest."""
    plain = read_spec(paths)["recipe"]
    try:
        codes = {
            name: replace(Code(name, ""), source=_source(paths, name), sha256=sha256) for name, sha256 in plain.get("code", ())
        }
        about = {**plain["task"], "samples": read_manifest(paths)}
        about["root"] = _root(paths, about["root"], about["kind"])
        about["code"] = codes[about["code"]] if about.get("code") else None
        return from_plain(Recipe, {**plain, "task": from_plain(TaskCard, about), "code": tuple(codes.values())})
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"run {paths.id} cannot be read: {error}") from error


def move_images(paths: RunPaths, root: str) -> None:
    """Note where the images of a run's task lie from now on, for every process that opens it."""
    try:
        atomic.write_text(paths.images, dumps(root))
    except OSError as error:
        raise RunError(
            f"run {paths.id} cannot note where its images are ({error.strerror}); check the permissions of its folder"
        ) from error


def _root(paths: RunPaths, root: str, kind: str) -> str:
    """Where the examples lie now: where somebody said, or with the home folder that was moved as a whole."""
    try:
        return str(json.loads(paths.images.read_text(encoding="ascii")))
    except (OSError, ValueError):
        pass
    beside = paths.root.parents[1] / "arrays" / Path(root).name
    return str(beside) if kind == "arrays" and not Path(root).exists() and beside.exists() else root


def read_repeat(paths: RunPaths) -> Repeat:
    """The history that a run repeats."""
    return from_plain(Repeat, read_spec(paths).get("repeat", {}))


def read_manifest(paths: RunPaths) -> tuple[Sample, ...]:
    """The ordered examples of a run."""
    try:
        with paths.manifest.open(encoding="ascii") as lines:
            rows = (upgrade_sample(json.loads(line)) for line in lines)
            return tuple(from_plain(Sample, dict(zip(_COLUMNS, row, strict=True))) for row in rows)
    except (OSError, ValueError, TypeError, RecursionError, InputError) as error:
        raise RunError(f"the manifest of run {paths.id} cannot be read: {error}") from error


def _source(paths: RunPaths, name: str) -> str:
    """The text of custom code. Missing or edited code is an error when it should run, not here."""
    try:
        with (paths.code / f"{name}.py").open("rb") as file:
            return file.read(MOST_SOURCE + 1).decode("utf-8", "replace")
    except OSError:
        return ""


def _encode(recipe: Recipe) -> dict[str, Any]:
    plain = {name: to_plain(value) for name, value in vars(recipe).items() if name not in ("task", "code")}
    task = recipe.task
    card = {"name": task.name, "kind": task.kind, "root": task.root, "classes": list(task.classes), "notes": list(task.notes)}
    card |= {"layout": task.layout, "reading": to_plain(task.reading)}
    if task.code is not None:
        card |= {"code": task.code.name, "arguments": task.arguments}
    return {"task": card, **plain, "code": [(code.name, code.sha256) for code in recipe.code]}


def _manifest_lines(samples: Iterable[Sample]) -> Iterable[str]:
    return (json.dumps(list(asdict(sample).values())) + "\n" for sample in samples)
