"""The main use in one command: textile defects, a linear probe, then fine-tuning, and a report on both."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbtransfer.comparison.compare_runs import Comparison, explain
from nbtransfer.core.recipe import Recipe
from nbtransfer.errors import InputError
from nbtransfer.jobs.launcher import start
from nbtransfer.jobs.run import Run
from nbtransfer.tasks.task import Task
from nbtransfer.ui.progress import watch
from nbtransfer.ui.report import Report

BACKBONE = "efficientnet_lite0"
TASK: dict[str, Any] = {"per_class": 400, "holdout": 0.125, "test": 0.375}
"""For each class 200 images to train on, 50 to validate on, 150 to test on."""
# The defect is a spot of a few pixels, perhaps at the border: keep the whole image. Cloth has no orientation.
# Figures that led to these settings are in docs/explanation/textile.md.
COMMON: dict[str, Any] = {"backbone": BACKBONE, "crop": 1.0, "seed": 0}
RECIPES: dict[str, dict[str, Any]] = {
    "lp": {"strategy": "lp", "augment": ()},
    "lp_ft": {"strategy": "lp_ft", "epochs": 8, "augment": ("flip", "flip_vertical")},
}
DEFECT, EXPLAINED = "local", 3


def explain_changes(task: Task, lp: Run, lp_ft: Run) -> tuple[Comparison, ...]:
    """Explain a few local defects: those that fine-tuning predicts best and the probe misses."""
    samples, label = list(task.split("test")), task.classes.index(DEFECT)
    before = {number: row for number, _, row in lp.predictions("test")}
    after = sorted(lp_ft.predictions("test"), key=lambda answer: answer[2][label], reverse=True)
    found = [n for n, truth, row in after if truth == label == row.index(max(row)) and before[n][label] < max(before[n])]
    return (explain(lp_ft, [samples[n] for n in found[:EXPLAINED]], DEFECT),) if found else ()


def run_demo(report: Path, say: Callable[[str], object]) -> tuple[Report, bool]:
    """Run the demo and write the report; returns it, and whether all runs finished."""
    if not os.access(report.absolute().parent, os.W_OK):
        raise InputError(f"the report cannot be written to {report.absolute().parent}; give an existing, writable folder")
    task = Task.demo("textile", **TASK)
    say(f"{task!r}: {', '.join(task.classes)}")
    runs = {}
    for name, settings in RECIPES.items():
        runs[name] = start(Recipe(task=task, **COMMON, **settings, title=f"demo: {name}"))
        state = watch(runs[name], label=name)
        say(f"{name}: {runs[name].verdict}")
        if state.status != "finished":
            say(runs[name].log())
            break
    finished = {name: run for name, run in runs.items() if run.state.status == "finished"}
    result = Report(task, finished, explain_changes(task, **finished) if len(finished) == len(RECIPES) else ())
    if finished:
        result.write(report.absolute())
    return result, len(finished) == len(RECIPES)
