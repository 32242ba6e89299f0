"""How fast heads, last stages and all layers are fine-tuned, against a plain loop, fastai, and what the device can do."""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import nbtransfer as nt
from benchmarks.gpu import ceilings
from benchmarks.gpu.ours import Told, carried_out, recipe
from benchmarks.gpu.plain import PlainLoop
from benchmarks.gpu.scene import Scene
from benchmarks.gpu.steps import Figures, Finding, LeftOutError
from nbtransfer.core import events as ev

Work = Callable[[Scene], Finding]
FASTAI_SECONDS = 120
STRATEGIES = {"head": "lp", "head, trained": "lp", "last stage": "last_stage", "all": "ft"}


def job(backbone: str, what: str, precision: str, variant: str = "", **settings: Any) -> Work:
    """A step: our job and the plain loop's, one after the other. A `variant` has other settings than usual."""

    def work(scene: Scene) -> Finding:
        if not ceilings.RATES:  # the step that measures them was not asked for
            ceilings.rates(scene)
        figures = _ours(scene, backbone, what, precision, variant, **settings)
        scene.tidy_up()
        batch = settings.get("batch_size", scene.sizes.batch)
        plain = PlainLoop(scene, backbone, what.partition(",")[0], precision, batch).epoch_seconds()
        figures |= _against(scene, what, figures, plain)
        share = f", {figures['share']:.0%} of the rate of products" if "share" in figures else ""
        text = f"{figures['images/s']:.0f} images/s{share}, {figures['over plain']:.2f} × the plain loop"
        return Finding(good=True, text=text, figures=figures)

    return work


def _ours(scene: Scene, backbone: str, what: str, precision: str, variant: str = "", **settings: Any) -> Figures:
    sizes, card = scene.sizes, nt.backbone(backbone)
    usual = {
        "epochs": sizes.epochs_of_all if what == "all" else sizes.epochs, "cache": "auto", "batch_size": sizes.batch,
        "image_size": sizes.rated_side, "loader_workers": None, "probe": "sgd" if "trained" in what else "auto",
    }  # fmt: skip
    made = recipe(scene.rated, scene, backbone, strategy=STRATEGIES[what], precision=precision, **{**usual, **settings})
    told = carried_out(made)
    later = told.epoch_seconds[1:] or told.epoch_seconds
    decided = told.decision("cache")
    figures: Figures = {
        "backbone": backbone,
        "what": what,
        "variant": variant,
        "precision": told.precision,
        "batch": made.batch_size,
        "seconds": told.seconds,
        "epochs": len(told.epoch_seconds),
        "epoch seconds": statistics.mean(later),
        "first epoch": told.epoch_seconds[0],
        "saving": told.saving,
        "cache": f"{decided.choice}: {decided.reason}" if decided else None,
        "predicted": decided.seconds if decided else None,
        "peak": torch.cuda.max_memory_allocated(scene.device) if scene.gpu else None,
    }
    return figures | _speed(made, told, card, what)


def _speed(made: nt.Recipe, told: Told, card: nt.BackboneCard, what: str) -> Figures:
    """Images a second, and the share of the time that their operations take at the rates that were measured.

    For a head that is the one pass through the frozen layers; else an epoch with its validation, which needs two thirds less.
    """
    train, val = (made.task.sizes[split] for split in ("train", "val"))
    side, stages = made.input_for(card).size, len(card.stages)
    if what.startswith("head"):
        computing = [event for event in told.all(ev.Computing) if event.done == train]
        if not computing:
            return {"images/s": float("nan")}
        speed = computing[-1].images_per_second
        asked = ceilings.forward(made.backbone, side)
        share = speed * ceilings.floor(asked, told.precision, made.device)
        return {"images/s": speed, "share": share}
    seconds = statistics.mean(told.epoch_seconds[1:] or told.epoch_seconds)
    decided = told.decision("cache")
    start = made.resolved(card).phases[-1].plan.boundary(card)
    suffix = ceilings.forward(made.backbone, side, start, stages)
    asked = ceilings.times(suffix, 3 * train + val)
    if start and (decided is None or decided.choice == "no"):
        asked = ceilings.plus(asked, ceilings.times(ceilings.forward(made.backbone, side, 0, start), train + val))
    return {"images/s": train / seconds, "share": ceilings.floor(asked, told.precision, made.device) / seconds}


def _against(scene: Scene, what: str, figures: Figures, plain: float) -> Figures:
    """All layers: an epoch against an epoch. Else so many epochs of the plain loop against our whole job."""
    over = plain / figures["epoch seconds"] if what == "all" else plain * scene.sizes.epochs / figures["seconds"]
    train = scene.rated.sizes["train"]
    return {"plain epoch seconds": plain, "plain images/s": train / plain, "over plain": over}


def fastai(backbone: str, what: str) -> Work:
    """A step: fastai in a process of its own, in bf16."""

    def work(scene: Scene) -> Finding:
        if importlib.util.find_spec("fastai") is None:
            raise LeftOutError("fastai is not installed")
        words = [str(scene.device), backbone, what, str(scene.sizes.batch), str(scene.sizes.rated), str(scene.sizes.rated_side)]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.gpu.with_fastai", *words],
            cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=FASTAI_SECONDS,
        )  # fmt: skip
        if done.returncode:
            return Finding(good=False, text=done.stderr.strip().splitlines()[-1], figures={"stderr": done.stderr[-4000:]})
        seconds = json.loads(done.stdout.splitlines()[-1])["seconds"]
        speed = scene.rated.sizes["train"] / seconds
        figures = {"backbone": backbone, "what": what, "epoch seconds": seconds, "images/s": speed}
        return Finding(good=True, text=f"{speed:.0f} images/s", figures=figures)

    return work


def tuned(backbone: str) -> Work:
    """A step: what the plain loop gains where cuDNN tries its algorithms first, and from more helpers. A measurement."""

    def work(scene: Scene) -> Finding:
        figures = {}
        loop = PlainLoop(scene, backbone, "all", "bf16" if scene.gpu else "fp32", scene.sizes.batch)
        figures["as it comes"] = loop.epoch_seconds(3)
        with _benchmarked():
            figures["cudnn.benchmark"] = loop.epoch_seconds(3)
        figures["8 helpers"] = PlainLoop(scene, backbone, "all", loop.precision, loop.batch, helpers=8).epoch_seconds(3)
        text = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in figures.items())
        return Finding(good=True, text=f"an epoch of {backbone}: {text}", figures=figures)

    return work


@contextmanager
def _benchmarked():
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = False


def compiled(backbone: str) -> Work:
    """A step: an epoch of a compiled model. A measurement."""

    def work(scene: Scene) -> Finding:
        if not scene.gpu:
            raise LeftOutError("compiling is measured on a GPU only")
        if not ceilings.RATES:
            ceilings.rates(scene)
        figures = _ours(scene, backbone, "all", "bf16", compile=True)
        return Finding(
            good=True, text=f"{figures['images/s']:.0f} images/s, first epoch {figures['first epoch']:.0f} s", figures=figures
        )

    return work
