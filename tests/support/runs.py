"""Small real runs: in background workers, or carried out in the test's own process for what only looks at them.

No torch until one is needed: other processes import this, too.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.jobs.environment import worker_environment
from nbtransfer.jobs.run import Run
from nbtransfer.store import runs
from nbtransfer.store.journal import JournalWriter
from nbtransfer.store.lock import is_held

PATIENCE = 120


def recipe(images, **settings):
    """Fine-tuning of a random shufflenet at 40 pixels: about a second."""
    small = {
        "backbone": "shufflenet_v2_x0_5",
        "weights": None,
        "strategy": "ft",
        "epochs": 2,
        "batch_size": 8,
        "image_size": 40,
        "precision": "fp32",  # to choose one takes longer than the training
    }
    task = nt.Task.from_folder(images, holdout=0.25)
    return nt.Recipe(task=task, **{**small, "device": "cpu", "threads": 1, **settings})


def long(images, **settings):
    """Long enough to be interrupted anywhere, and short enough to be carried out twice, with nothing chosen by measurement."""
    return recipe(images, **{"epochs": 40, "checkpoint_every": 5, "cache": "off", **settings})


def until(run, condition):
    """The first state that fulfils a condition."""
    for state, last in run.follow(PATIENCE):
        if condition(state) and (state.over or not last):  # what is seen only when patience ends came too late
            return state
        assert not last, f"{state.status}: {state.message}\n{run.log()}"
    return None


def eventually(condition):
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def released(run):
    """Wait until its worker has let go of it."""
    eventually(lambda: not is_held(run.paths.lock))


def bits(run):
    """Weights, buffers and every figure but times."""
    from nbtransfer.engine.model.freezing import digest

    rows = [replace(row, seconds=0.0) for row in run.history()]
    return digest(run.model().state_dict().values()), rows


def elsewhere(code, *arguments, **options):
    """Run Python code in a process of its own; its output."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(
        command, env=worker_environment(), capture_output=True, text=True, timeout=PATIENCE, check=True, **options
    ).stdout


def carried_out(recipe, repeat=None):
    """The finished run of a recipe, or of one that repeats another, carried out in this process."""
    from nbtransfer.engine.training import carry_out

    paths = runs.create(recipe, repeat)
    journal = JournalWriter(paths.events, 1)
    for event in [ev.Starting(1, "h", "3"), *carry_out(recipe, paths, repeat=repeat)]:
        journal.append(event)
    journal.close()
    return Run(paths)
