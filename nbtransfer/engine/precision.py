"""Choose the precision by measurement on images of the run."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from nbtransfer.core import events as ev
from nbtransfer.core.freeze import LayerPlan
from nbtransfer.core.messages import message
from nbtransfer.core.recipe import Recipe
from nbtransfer.engine.data.batches import Images
from nbtransfer.engine.data.preprocess import Normalise
from nbtransfer.engine.data.sample import sample_pixels
from nbtransfer.engine.device import Device, why_not_bf16
from nbtransfer.engine.model.step import evaluation_mode, trial_step
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.engine.timing import time_call

WORTH_IT = 0.9
LARGEST_DEVIATION = 0.1


def choose_precision(
    recipe: Recipe, model: TransferModel, images: Images, device: Device, plan: Mapping[str, LayerPlan], before: str | None
) -> tuple[Device, list[ev.Decided]]:
    """The device with the precision of the recipe, or of the decision `before`, else measured; and the new decisions."""
    if recipe.precision != "auto":
        return device, []
    if before is not None:
        return Device(device.torch, before), []
    chosen, decision = measure_precision(model, images, device, plan)
    return chosen, [decision]


def measure_precision(
    model: TransferModel, images: Images, device: Device, plan: Mapping[str, LayerPlan]
) -> tuple[Device, ev.Decided]:
    """bf16 if it is faster than fp32 on some images of this run and its features are close to those of fp32; else fp32.

    Times a training step under `plan`, or a forward pass if all layers are frozen: some layers gain in one direction only.
    Close means that the norm of the difference is at most 10 % of the norm of the features: bf16 has 8 bits of precision,
    which costs networks 1 to 5 %. The model keeps its weights and mode, and has `plan` applied afterwards.
    """
    obstacle = why_not_bf16(device.torch)
    if obstacle:
        return device, ev.Decided("precision", "fp32", obstacle)
    pixels = sample_pixels(images)
    if not len(pixels):
        return device, ev.Decided("precision", "fp32", message("measure.no_images"))
    x = Normalise(model.spec, device.torch)(pixels)
    mixed = Device(device.torch, "bf16")
    model.apply_plan(plan)
    learns = any(entry.learns for entry in plan.values())
    with evaluation_mode(model):
        (exact, slow), (close, fast) = (_features_and_seconds(model, x, one, learns) for one in (device, mixed))
    deviation = ((close - exact).norm() / exact.norm().clamp_min(1e-30)).item()
    figures = {"ratio": fast / slow, "images": len(x), "percent": 100 * deviation}
    measured = message("precision.step" if learns else "precision.forward", **figures)
    chosen = mixed if fast <= WORTH_IT * slow and deviation <= LARGEST_DEVIATION else device
    return chosen, ev.Decided("precision", chosen.precision, measured)


def _features_and_seconds(model: TransferModel, x: torch.Tensor, device: Device, learns: bool) -> tuple[torch.Tensor, float]:
    def forward() -> torch.Tensor:
        with torch.no_grad(), device.autocast():
            return model.features(x).float()

    if learns:
        return forward(), time_call(lambda: trial_step(model, x, device), device, times=1)[1]
    return time_call(forward, device, times=1)
