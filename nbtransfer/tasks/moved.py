"""Images that lie in another place now: the same ones, or the task is another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nbtransfer.core.task import TaskCard
from nbtransfer.core.text.counts import quantity
from nbtransfer.errors import TaskError
from nbtransfer.tasks.decode import UndecodableError
from nbtransfer.tasks.source import ImageSource


def root_at(task: TaskCard, place: Path) -> str:
    """`place` as the root of a task, after the content of every image there was compared; raises TaskError."""
    if task.kind == "code":
        raise TaskError(f"the images of {task.name} come from custom code; make the task again with other arguments")
    root = place.expanduser().absolute()
    if task.kind == "arrays" and root.is_dir():
        root /= Path(task.root).name
    if not root.exists():
        raise TaskError(f"{root} is missing; give the {'file' if task.kind == 'arrays' else 'folder'} where the images lie now")
    source = ImageSource(replace(task, root=str(root)))
    problems = []
    for sample in task.samples:
        try:
            source.check(sample)
        except UndecodableError as error:
            problems.append(f"{sample.source}: {error}")
            if task.kind == "arrays":
                break
    if problems:
        many = f"{len(problems):,} of {quantity(len(task.samples), 'image')} in {root} are not those of the task"
        found = f"{root} does not hold the images of the task" if task.kind == "arrays" else many
        raise TaskError(f"{found}, such as {problems[0]}; give the place of the same images, or make a new task")
    return str(root)
