"""What matters on the textile task: one setting changed at a time, each a run with seed 0.

About three minutes a row on two cores. The rows called "seed" tell what bf16 does to the result.

    python -m benchmarks.textile            all rows
    python -m benchmarks.textile "160 px"   the rows whose name contains the words
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import nbtransfer as nt
from nbtransfer.core.text.counts import short_number
from nbtransfer.core.text.tables import text_table
from nbtransfer.demo import BACKBONE, COMMON, RECIPES, TASK

FT = {**COMMON, "strategy": "ft", "epochs": 8, "augment": ("flip", "flip_vertical")}
FROZEN_NORMS = nt.FreezePlan.none().norm("frozen")

ROWS: dict[str, dict[str, Any]] = {
    "linear probe": {**COMMON, **RECIPES["lp"]},
    "last stages": {**FT, "strategy": "last_stage"},
    "fine-tuning": FT,
    "probe, then fine-tuning": {**COMMON, **RECIPES["lp_ft"]},
    "fine-tuning, stored statistics": {**FT, "freeze": FROZEN_NORMS},
    "fine-tuning, the weights' own crop": {**FT, "crop": None},
    "fine-tuning, 160 px": {**FT, "image_size": 160},
    "fine-tuning, learning rate 0.002": {**FT, "lr": 2e-3},
    "fine-tuning, learning rate 0.0003": {**FT, "lr": 3e-4},
    "fine-tuning, 50 images a class": {**FT, "per_class": 100, "holdout": 0.25, "test": 0.25},
    "fine-tuning, 50 images a class, 4 times the epochs": {**FT, "per_class": 100, "holdout": 0.25, "test": 0.25, "epochs": 32},
}
SEEDS = {"backbone": BACKBONE, "strategy": "ft", "epochs": 6, "per_class": 250, "holdout": 0.2, "test": None}
ROWS |= {f"{p}, seed {seed}": {**SEEDS, "precision": p, "seed": seed} for p in ("fp32", "bf16") for seed in range(3)}


def measure(words: str = "") -> Iterator[tuple[str, ...]]:
    for name, settings in ROWS.items():
        if words not in name:
            continue
        task_settings = {key: settings.get(key, default) for key, default in TASK.items()}
        task = nt.Task.demo("textile", **task_settings)
        run = nt.start(nt.Recipe(task=task, **{k: v for k, v in settings.items() if k not in TASK}))
        state = run.wait()
        if state.status != "finished":
            raise SystemExit(f"{name}: {state.status}, {state.message}")
        scores = [f"{e.accuracy:.3f} ({e.interval.low:.3f}–{e.interval.high:.3f})" for e in state.evaluations]
        val, test = scores if len(scores) == 2 else (*scores, "")
        yield name, val, test, f"{state.seconds:.0f}", short_number(max(p.trainable for p in state.prepared.phases))
        print(name, val, test, file=sys.stderr, flush=True)


if __name__ == "__main__":
    header = ("setting", "validation (95 %)", "test (95 %)", "seconds", "trainable")
    print(text_table(header, measure(*sys.argv[1:2])))
