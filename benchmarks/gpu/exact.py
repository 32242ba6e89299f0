"""Whether a GPU computes what the CPU computes, leaves alone what is frozen, and does it again."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from typing import Any

import torch

import nbtransfer as nt
from benchmarks.gpu.ours import GENTLE, Told, carried_out, difference, how_close, recipe, tf32, tf32_now, watched
from benchmarks.gpu.scene import Scene
from benchmarks.gpu.steps import Finding
from nbtransfer.core import events as ev
from nbtransfer.engine.model.transfer_model import build
from nbtransfer.pretrained import cards

CLOSE, BUILT = 1e-4, 256
SMALL_VIT = "timm/vit_tiny_patch16_224"


def like_the_cpu(scene: Scene) -> Finding:
    """A convolutional network: the same batches and, in fp32, the same losses over an epoch."""
    made = recipe(
        scene.small, scene, scene.sizes.network, strategy="ft", epochs=1, optimiser="sgd", lr=GENTLE, augment=("flip",)
    )
    return _against_the_cpu(scene, made)


def transformer_like_the_cpu(scene: Scene) -> Finding:
    """The same for a transformer."""
    return _against_the_cpu(scene, recipe(scene.large, scene, SMALL_VIT, strategy="ft", epochs=1, optimiser="sgd", lr=GENTLE))


def _against_the_cpu(scene: Scene, made: nt.Recipe) -> Finding:
    reference, batches = _losses(dataclasses.replace(made, device="cpu"), exactly=True)
    losses, same = _losses(made, exactly=True)
    by_default, _ = _losses(made, exactly=False)
    adam, _ = _losses(dataclasses.replace(made, optimiser="adamw", lr=None), exactly=True)
    adam_reference, _ = _losses(dataclasses.replace(made, optimiser="adamw", lr=None, device="cpu"), exactly=True)
    gap, loose = _furthest(losses, reference), _furthest(by_default, reference)
    figures = {
        "steps": len(losses), "furthest": gap, "as torch comes": loose, "adamw": _furthest(adam, adam_reference),
        "tf32": tf32_now(scene.device), "batches": same == batches, "losses": losses, "of the CPU": reference,
    }  # fmt: skip
    text = f"losses of {len(losses)} steps differ by {gap:.1e} at most, by {loose:.1e} as torch comes"
    text += f", with AdamW by {figures['adamw']:.1e}"
    if same != batches:
        return Finding(good=False, text=f"other batches than on the CPU; {text}", figures=figures)
    return Finding(gap <= CLOSE and len(losses) > 1, text, figures)


def _losses(made: nt.Recipe, *, exactly: bool) -> tuple[list[float], list[str]]:
    with tf32(allowed=False) if exactly else nullcontext(), watched(digests=True) as seen:
        carried_out(made)
    return seen.each_loss(), seen.digests


def _furthest(one: list[float], other: list[float]) -> float:
    return max(abs(a - b) / max(abs(b), 1e-12) for a, b in zip(one, other, strict=True))


def frozen(scene: Scene) -> Finding:
    """Frozen layers, their normalisation statistics among them, are the same bit for bit after an epoch."""
    made = recipe(scene.small, scene, scene.sizes.network, strategy="last_stage", epochs=1)
    told = carried_out(made)
    receipt = told.all(ev.ReceiptIssued)[0]
    card = cards.card(made.backbone)
    fresh = build(made, card)[0].state_dict()
    plan = made.resolved(card).phases[-1].plan.resolve(card)
    names = [f"backbone.{layer}." for layer, entry in plan.items() if not entry.learns]
    moved = [n for n, t in told.tensors.items() if n.startswith(tuple(names)) and not torch.equal(t, fresh[n])]
    learned = [n for n, t in told.tensors.items() if not n.startswith(tuple(names)) and not torch.equal(t, fresh[n])]
    buffers = sum("running_" in name for name in told.tensors if name.startswith(tuple(names)))
    good = not moved and not receipt.changed and receipt.frozen == len(names) and bool(learned) and buffers > 0
    text = (
        f"{receipt.unchanged} of {len(names)} frozen layers unchanged, {buffers} statistics among their tensors; moved: {moved}"
    )
    return Finding(good, text, {"frozen": len(names), "unchanged": receipt.unchanged, "moved": moved, "learned": len(learned)})


def cached(scene: Scene) -> Finding:
    """What is trained on activations that are kept is what is trained without.

    A GPU computes them in batches of 256: equal bits can be expected only where batches of training are as large.
    """
    figures: dict[str, Any] = {}
    for name, settings in {
        "small batches": {"fold": False},
        "small batches, without TF32": {"fold": False},
        "small batches, folded": {"fold": True},
        "batches of 256": {"fold": False, "batch_size": BUILT},
    }.items():
        with tf32(allowed=False) if "without TF32" in name else nullcontext():
            kept, plain = (_last_stage(scene, cache, **settings) for cache in ("on", "off"))
        same, gap = difference(plain.tensors, kept.tensors)
        figures[name] = {"bitwise": same, "difference": gap, "cache": str(kept.decision("cache"))}
        figures[name]["loss"] = abs(plain.all(ev.EpochEnded)[-1].train_loss - kept.all(ev.EpochEnded)[-1].train_loss)
    text = "; ".join(f"{name}: {how_close(found['bitwise'], found['difference'])}" for name, found in figures.items())
    good = all(f["bitwise"] or f["difference"] <= 1e-3 for f in figures.values())
    return Finding(good, text, figures)


def _last_stage(scene: Scene, cache: str, **settings: Any) -> Told:
    made = recipe(
        scene.small,
        scene,
        scene.sizes.network,
        strategy="last_stage",
        epochs=2,
        cache=cache,
        optimiser="sgd",
        lr=GENTLE,
        **settings,
    )
    try:
        return carried_out(made)
    finally:
        scene.tidy_up()


def again(scene: Scene) -> Finding:
    """Whether two equal runs end with equal weights, as torch comes and with deterministic algorithms. A measurement."""
    figures = {}
    for backbone, task in ((scene.sizes.network, scene.small), (SMALL_VIT, scene.large)):
        made = recipe(task, scene, backbone, strategy="ft", epochs=2)
        for name in ("as torch comes", "deterministic"):
            torch.use_deterministic_algorithms(name == "deterministic", warn_only=True)
            try:
                same, gap = difference(*(carried_out(made).tensors for _ in range(2)))
            finally:
                torch.use_deterministic_algorithms(mode=False)
            figures[f"{backbone}, {name}"] = {"bitwise": same, "difference": gap}
    told = (f"{name}: {how_close(found['bitwise'], found['difference'])}" for name, found in figures.items())
    return Finding(good=True, text="; ".join(told), figures=figures)
