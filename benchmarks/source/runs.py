"""The runs: source tasks once, then every arm on every target task, by the public interface."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbtransfer as nt
from benchmarks.source import network
from benchmarks.source.pairs import PAIRS, SOURCES, Pair, source_task, target_task
from nbtransfer.jobs import warm

LR = 0.004
COMMON: dict[str, Any] = {
    "image_size": 32, "crop": 1.0, "augment": (), "device": "cpu", "precision": "fp32", "threads": 1, "loader_workers": 0,
    "cache": "off",
}  # fmt: skip
SOURCE_STEPS, SOURCE_BATCH = 400, 32
BATCH = 16
STEPS = {5: 30, 10: 30, 25: 40, 100: 100}
"""Steps of every arm that trains all layers, by the number of target images a class."""
SEEDS = range(5)
PATIENCE = 600.0
Cell = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """A way to get a model for the target task. The source task's shared layers are `mine/SOURCE`."""

    name: str
    strategy: str
    weights: str

    def recipe(self, task: nt.Task, source: str, imagenet: str, per_class: int, seed: int) -> nt.Recipe:
        own = {"backbone": f"mine/{source}"} if self.weights == "source" else {"backbone": network.NAME}
        own |= {"weights": {"ImageNet": imagenet, "none": None}[self.weights]} if self.weights != "source" else {}
        training = {
            "epochs": self.epochs(task, per_class),
            "batch_size": BATCH,
            "seed": seed,
            "lr": None if self.strategy == "lp" else LR,
        }
        return nt.Recipe(task=task, strategy=self.strategy, **own, **training, **COMMON)

    def epochs(self, task: nt.Task, per_class: int) -> int:
        """A head that a solver fits takes one epoch and no step."""
        trained = epochs_for(STEPS[per_class], task, BATCH)
        return {"lp": 1, "lp_ft": 1 + trained, "scratch": trained}[self.strategy]


ARMS = (
    Arm("source, frozen", "lp", "source"),
    Arm("source, fine-tuned", "lp_ft", "source"),
    Arm("ImageNet, frozen", "lp", "ImageNet"),
    Arm("ImageNet, fine-tuned", "lp_ft", "ImageNet"),
    Arm("from scratch", "scratch", "none"),
)


def epochs_for(steps: int, task: nt.Task, batch: int) -> int:
    """Whole epochs of at least so many steps."""
    return math.ceil(steps / math.ceil(task.sizes["train"] / batch))


class Results:
    """What was measured, in a file that is whole after every run."""

    def __init__(self, file: Path) -> None:
        self.file = file
        kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        self.sources: dict[str, Cell] = kept.get("sources", {})
        self.cells: list[Cell] = kept.get("cells", [])

    def has(self, **what: Any) -> bool:
        return any(what.items() <= cell.items() for cell in self.cells)

    def write(self) -> None:
        draft = self.file.with_suffix(".tmp")
        draft.write_text(json.dumps({"sources": self.sources, "cells": self.cells}, indent=1), encoding="utf-8")
        draft.replace(self.file)


def measure(results: Results, folder: Path) -> None:
    """Carry out what is missing, seed by seed, so that an interruption leaves whole seeds. Weights go into `folder`."""
    if not list(missing(results)):
        return
    network.define()
    imagenet = network.imagenet_weights(folder)
    warm.keep()
    warm.ready(PATIENCE)
    for source in SOURCES:
        learn(source, results)
    for pair, per_class, seed in missing(results):
        task = target_task(pair, per_class, seed)
        for arm in ARMS:
            cell = {"pair": pair.name, "arm": arm.name, "per_class": per_class, "seed": seed}
            if not results.has(**cell):
                started = time.monotonic()
                found = scores(arm.recipe(task, pair.source, imagenet, per_class, seed))
                results.cells.append({**cell, **found, "seconds": round(time.monotonic() - started, 2)})
                results.write()
                print(*results.cells[-1].values(), sep="  ", flush=True)


def missing(results: Results) -> Iterator[tuple[Pair, int, int]]:
    for seed in SEEDS:
        for per_class in STEPS:
            for pair in PAIRS:
                if not all(results.has(pair=pair.name, per_class=per_class, seed=seed, arm=arm.name) for arm in ARMS):
                    yield pair, per_class, seed


def learn(source: str, results: Results) -> None:
    """Train shared layers on a source task, unless an earlier call has done so."""
    kept = results.file.with_name("source-backbones") / source
    if source in results.sources and kept.is_dir():
        nt.add_backbone(kept, trust=True)
        return
    shutil.rmtree(kept, ignore_errors=True)
    task = source_task(source)
    epochs = epochs_for(SOURCE_STEPS, task, SOURCE_BATCH)
    started = time.monotonic()
    run = nt.pretrain(task, network.NAME, epochs=epochs, batch_size=SOURCE_BATCH, lr=LR, **COMMON)
    state = run.wait(PATIENCE)
    require_finished(run, state.status)
    run.save_backbone(source)
    shutil.copytree(Path(os.environ["NBTRANSFER_HOME"]) / "backbones" / source, kept)
    results.sources[source] = {
        "accuracy": run.evaluate("val").accuracy,
        "epochs": epochs,
        "images": task.sizes["train"],
        "seconds": round(time.monotonic() - started, 1),
    }
    results.write()
    print(source, results.sources[source], flush=True)


def scores(recipe: nt.Recipe) -> Cell:
    """Accuracy on the test images, and the steps that it took."""
    run = nt.start(recipe)
    state = run.wait(PATIENCE)
    require_finished(run, state.status)
    accuracy, images = run.evaluate("test").accuracy, recipe.task.sizes["train"]
    steps = math.ceil(images / BATCH) * (recipe.epochs - (recipe.strategy != "scratch"))
    run.delete()
    return {"accuracy": round(accuracy, 4), "steps": steps}


def require_finished(run: nt.Run, status: str) -> None:
    if status != "finished":
        raise SystemExit(f"{run.recipe}: {status}\n{run.log()}")
