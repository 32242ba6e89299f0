"""A batch that does not fit into the memory of the GPU is computed in parts, with the same result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from benchmarks.gpu.exact import SMALL_VIT
from benchmarks.gpu.ours import GENTLE, Seen, Told, carried_out, difference, recipe, watched
from benchmarks.gpu.scene import Scene
from benchmarks.gpu.steps import Finding
from nbtransfer.core import events as ev
from nbtransfer.engine.fit import loop

CLOSE = 1e-4
SHARE = 0.6


@contextmanager
def limited(scene: Scene, peak: int) -> Iterator[None]:
    """A share of what was needed is what there is; without a GPU, the first step fails as if it were so."""
    if scene.gpu:
        torch.cuda.empty_cache()
        total = torch.cuda.mem_get_info(scene.device)[1]
        torch.cuda.set_per_process_memory_fraction(SHARE * peak / total, torch.cuda.current_device())
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, torch.cuda.current_device())
        return
    real, steps = loop.forward_loss, 0

    def fails_once(*words: object) -> object:
        nonlocal steps
        steps += 1
        if steps == 1:
            raise torch.cuda.OutOfMemoryError("as if there were no more")
        return real(*words)  # type: ignore[arg-type]

    loop.forward_loss = fails_once  # type: ignore[assignment]
    try:
        yield
    finally:
        loop.forward_loss = real


def in_parts(scene: Scene) -> Finding:
    """Of a network whose images do not depend on each other. Statistics of a batch would be those of its parts."""
    whole, plain, peak = _run(scene, None)
    parts, small, least = _run(scene, peak)
    warned = [event.message for event in parts.all(ev.Warned) if "does not fit" in event.message]
    before, after = (told.all(ev.EpochEnded)[-1] for told in (whole, parts))
    losses = max(abs(before.train_loss - after.train_loss), abs(before.val_loss - after.val_loss))
    _, gap = difference(whole.tensors, parts.tensors)
    figures = {"warned": warned, "losses": losses, "weights": gap, "peak": peak, "peak in parts": least}
    figures["passes"] = len(plain.losses), len(small.losses)
    text = f"{warned}; losses differ by {losses:.1e}, weights by {gap:.1e} of their norm"
    text += f"; at most {peak / 1e9:.2f} GB whole, {least / 1e9:.2f} GB in parts"
    return Finding(bool(warned) and len(small.losses) > len(plain.losses) and losses <= CLOSE, text, figures)


def _run(scene: Scene, peak: int | None) -> tuple[Told, Seen, int]:
    """One epoch, with all memory or a share of the `peak`, and the most that it took."""
    batch = max(8, scene.sizes.large * 4 // 9)
    made = recipe(scene.large, scene, SMALL_VIT, strategy="ft", epochs=1, optimiser="sgd", lr=GENTLE, batch_size=batch)
    if scene.gpu:
        torch.cuda.reset_peak_memory_stats(scene.device)
    with nullcontext() if peak is None else limited(scene, peak), watched() as seen:
        told = carried_out(made)
    return told, seen, torch.cuda.max_memory_allocated(scene.device) if scene.gpu else 0
