"""Mixed precision: close to full precision, steps with overflowing gradients are passed over, and what "auto" decides."""

from __future__ import annotations

import math
import statistics

from benchmarks.gpu.ours import GENTLE, carried_out, recipe, scaler_begins_at, watched
from benchmarks.gpu.scene import Scene
from benchmarks.gpu.steps import Finding, LeftOutError
from nbtransfer.core import events as ev
from nbtransfer.core.repeat import Repeat
from nbtransfer.core.state import RunState
from nbtransfer.engine.control import Unattended
from nbtransfer.engine.setup import set_up
from nbtransfer.store import runs

CLOSE, TOO_LARGE = 0.05, 2.0**36


def mixed(scene: Scene) -> Finding:
    """Losses of bf16 and fp16 are finite, and over the first epoch close to those of fp32; later ones drift apart."""
    losses, last = {}, {}
    for precision in ("fp32", "bf16", "fp16") if scene.gpu else ("fp32", "bf16"):
        settings = {"strategy": "ft", "epochs": 3, "optimiser": "sgd", "lr": GENTLE, "precision": precision}
        with watched() as seen:
            told = carried_out(recipe(scene.small, scene, scene.sizes.network, **settings))
        losses[precision], last[precision] = seen.each_loss(), told.all(ev.EpochEnded)[-1].val_loss
    steps = len(losses["fp32"]) // 3
    apart = {
        precision: statistics.mean(abs(a - b) for a, b in zip(found[:steps], losses["fp32"], strict=False))
        for precision, found in losses.items()
    }
    good = all(math.isfinite(loss) for found in losses.values() for loss in found) and max(apart.values()) <= CLOSE
    text = ", ".join(f"{precision} differs by {gap:.3f} nats" for precision, gap in apart.items() if precision != "fp32")
    return Finding(good, f"in the mean of an epoch, {text}", {"apart": apart, "validation": last, "losses": losses})


def scaled(scene: Scene) -> Finding:
    """A step whose scaled gradients overflow in fp16 changes no weight and lowers the scale; later ones learn."""
    if not scene.gpu:
        raise LeftOutError("fp16 needs a GPU")
    figures, good = {}, True
    for optimiser in ("adamw", "sgd"):
        for clip in (None, 1.0):
            settings = {"strategy": "ft", "epochs": 4, "precision": "fp16", "optimiser": optimiser, "clip_grad": clip}
            made = recipe(scene.small, scene, scene.sizes.network, lr=1e-3, schedule="constant", **settings)
            with scaler_begins_at(TOO_LARGE) as seen:
                told = carried_out(made)
            skipped = [changed for before, after, changed in seen if after < before]
            learned = [changed for before, after, changed in seen if after >= before]
            fine = bool(skipped) and not any(skipped) and bool(learned) and all(learned)
            fine = fine and all(math.isfinite(row.val_loss) for row in told.all(ev.EpochEnded))
            good = good and fine
            scales = [before for before, _, _ in seen]
            figures[f"{optimiser}, clip {clip}"] = {
                "skipped": len(skipped),
                "learned": len(learned),
                "scales": scales,
                "ok": fine,
            }
    text = "; ".join(f"{name}: {found['skipped']} steps skipped, {found['learned']} learned" for name, found in figures.items())
    return Finding(good, text, figures)


def automatic(scene: Scene) -> Finding:
    """What "auto" decides, and why. A measurement."""
    figures = {}
    for backbone in scene.sizes.backbones:
        for strategy in ("lp", "ft"):
            made = recipe(
                scene.rated, scene, backbone, strategy=strategy, epochs=1, precision="auto",
                image_size=scene.sizes.rated_side, batch_size=scene.sizes.batch,
            )  # fmt: skip
            setup = set_up(made, runs.create(made), Unattended(), RunState(), Repeat())
            decided = setup.decisions[0]
            figures[f"{backbone} {strategy}"] = {"choice": decided.choice, "reason": decided.reason}
    text = "; ".join(f"{name}: {found['choice']} ({found['reason']})" for name, found in figures.items())
    return Finding(good=True, text=text, figures=figures)
