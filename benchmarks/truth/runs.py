"""Runs in this process: exported, killed between any two steps, with and without a cache."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

import nbtransfer as nt
from benchmarks.truth.claim import Claim
from nbtransfer.core import events as ev
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.record import Record
from nbtransfer.core.state import fold
from nbtransfer.engine.checkpoints import result
from nbtransfer.engine.control import Unattended
from nbtransfer.engine.data.preprocess import resize_and_crop
from nbtransfer.engine.training import carry_out
from nbtransfer.store import runs
from nbtransfer.store.paths import RunPaths

BACKBONES = (
    "shufflenet_v2_x0_5", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5", "squeezenet1_1", "resnet18", "efficientnet_b0",
    "regnet_y_400mf",
)  # fmt: skip
STRATEGIES: tuple[dict[str, Any], ...] = (
    {"strategy": "ft"}, {"strategy": "lp_ft", "epochs": 3}, {"strategy": "lp"}, {"strategy": "last_stage", "cache": "on"},
    {"strategy": "lp_ft", "epochs": 3, "lr": 3.0}, {"strategy": "ft", "optimiser": "sgd", "augment": ("flip", "crop")},
)  # fmt: skip
"""With a learning rate of 3 the probe stays the best epoch."""


class _Killed(BaseException):
    """As sudden as a signal."""


class _Killer(Unattended):
    """Kills between two steps."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def waiting(self) -> bool:
        self._left -= 1
        if self._left < 0:
            raise _Killed
        return False


def _recipe(**settings: Any) -> Recipe:
    random = np.random.default_rng(0)
    colours = random.integers(0, 255, (3, 3))
    labels = np.arange(36) % 3
    pixels = (colours[labels][:, None, None] + random.normal(0, 60, (36, 40, 40, 3))).clip(0, 255).astype(np.uint8)
    task = nt.Task.from_arrays(pixels, labels, holdout=0.25)
    made = Recipe(
        task=task, backbone=BACKBONES[0], weights=None, epochs=2, batch_size=8, image_size=40, crop=1.0, device="cpu",
        threads=1, precision="fp32",
    )  # fmt: skip
    return replace(made, **settings)


def _carried_out(recipe: Recipe, kill_after: int | None = None) -> RunPaths:
    """A run from its beginning to its end, if need be in two attempts."""
    paths, records = runs.create(recipe), list[Record]()

    def note(event: ev.Event) -> None:
        records.append(Record(len(records), 1, 0.0, float(len(records)), event))

    for control in [Unattended()] if kill_after is None else [_Killer(kill_after), Unattended()]:
        past = fold(records)
        note(ev.Starting(1, "h", "3"))
        try:
            for event in carry_out(recipe, paths, control, past if past.pid else None):
                note(event)
            break
        except _Killed:
            continue
    return paths


def _left(paths: RunPaths, recipe: Recipe) -> tuple[Any, ...]:
    """All that a run leaves: tensors, and the text of scores, predictions and receipt."""
    state = result.load(paths, recipe).state_dict()
    texts = {path.name: path.read_text() for path in sorted(paths.result.iterdir()) if path.is_file()}
    return {name: tensor.numpy().tobytes() for name, tensor in state.items()}, texts


def kills(*, quick: bool) -> Claim:
    """Every few steps of several strategies: the resumed run leaves what an uninterrupted one does."""
    cases = failed = 0
    for settings in STRATEGIES[:1] if quick else STRATEGIES:
        recipe = _recipe(**settings)
        whole = _left(_carried_out(recipe), recipe)
        for steps in (3,) if quick else range(1, 16, 2):
            cases, failed = cases + 1, failed + (_left(_carried_out(recipe, steps), recipe) != whole)
    return Claim(
        "a run that is killed resumes to the same bits", "tensors, predictions and receipt of an uninterrupted run",
        f"{cases} kills in {1 if quick else len(STRATEGIES)} recipes", "all equal", failed,
    )  # fmt: skip


def caches(*, quick: bool) -> Claim:
    """Without folding, cached activations change no bit."""
    cases = failed = 0
    for backbone in BACKBONES[: 1 if quick else 4]:
        for strategy in ("lp", "last_stage"):
            recipe = _recipe(backbone=backbone, strategy=strategy, probe="sgd", fold=False, batch_size=9)
            with_cache, without = (_left(_carried_out(r), r) for r in (replace(recipe, cache=c) for c in ("on", "off")))
            cases, failed = cases + 1, failed + (with_cache != without)
    return Claim(
        "with `fold=False`, a cache changes no bit", "the same run without one", f"{cases} recipes", "all equal", failed
    )


def exports(*, quick: bool) -> Claim:
    """An exported model gives the probabilities that the run wrote down, from pixels prepared here."""
    names, worst, answers = BACKBONES[: 1 if quick else None], 0.0, 0
    for backbone in names:
        recipe = _recipe(backbone=backbone, strategy="ft", epochs=1)
        run = nt.Run(_carried_out(recipe))
        with tempfile.TemporaryDirectory() as folder:
            model = nt.load_model(run.export(Path(folder) / "model"))
        images = np.load(recipe.task.root)
        val = [sample for sample in recipe.task.samples if sample.split == "val"]
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.spec.mean, model.spec.std))
        for line in (run.paths.result / "predictions-val.jsonl").read_text().splitlines():
            number, _, expected = json.loads(line)
            pixels = resize_and_crop(Image.fromarray(images[int(val[number].source)]), model.spec).float() / 255
            with torch.no_grad():
                found = F.softmax(model(((pixels - mean) / std)[None]), 1)[0]
            worst, answers = max(worst, (found - torch.tensor(expected)).abs().max().item()), answers + 1
    return Claim(
        "exported models answer as the run did", "probabilities computed anew from the images",
        f"{answers} answers of {len(names)} models", f"largest difference {worst:.1e}", int(worst > 1e-5),
    )  # fmt: skip
