"""Integrated gradients of the margin in the image itself (Sundararajan et al. 2017). The only module that knows Captum."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Literal

import torch
from captum.attr import IntegratedGradients
from torchvision.transforms.v2 import functional as F

from nbtransfer.attribution.findings import InputMap
from nbtransfer.core.backbone import InputSpec
from nbtransfer.core.text.names import suggest
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.errors import InputError

Baseline = Literal["mean", "black", "blur"]
COARSE, FINE, CHUNK = 16, 64, 8
"""Steps of a path, at first and where that is not enough, and how many are computed at once."""
ENOUGH = 0.05
BLUR = 1 / 16
"""Standard deviation of the blur, as a share of the image's side."""


def check_baseline(name: str) -> None:
    """Raise InputError unless `name` is a baseline."""
    if name not in typing.get_args(Baseline):
        raise InputError(f"there is no baseline {name!r}; {suggest(name, typing.get_args(Baseline))}")


def baseline(name: str, images: torch.Tensor, spec: InputSpec) -> torch.Tensor:
    """What an image is compared with, for normalised images (N, 3, H, W).

    mean    the mean colour of the source task, which is 0 after normalisation
    black   a black image
    blur    the image without detail (Gaussian, standard deviation 1/16 of the side); it keeps colour and brightness, so
            their evidence is not found
    """
    if name == "blur":
        return _blur(images)
    if name == "mean":
        return torch.zeros_like(images)
    mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (spec.mean, spec.std))
    return (-mean / std).expand_as(images).clone()


def _blur(images: torch.Tensor) -> torch.Tensor:
    sigma = BLUR * images.shape[-1]
    # The border is mirrored, so the kernel must not reach beyond the image. Rows and columns separately: 30 times less work.
    reach = min(round(3 * sigma), images.shape[-1] - 1)
    rows = F.gaussian_blur(images, [1, 2 * reach + 1], [sigma, sigma])
    return F.gaussian_blur(rows, [2 * reach + 1, 1], [sigma, sigma])  # type: ignore[no-any-return]


def input_maps(
    models: tuple[TransferModel, TransferModel], image: torch.Tensor, start: torch.Tensor, target: int
) -> tuple[InputMap, InputMap]:
    """Both maps; one that misses more than 5 % of the larger difference is refined. They are shown on one scale."""
    coarse = [integrated_gradients(model, image, start, target) for model in models]
    most = ENOUGH * max(abs(m.difference) for m in coarse)
    before, after = (
        m if abs(m.missing) <= most else integrated_gradients(model, image, start, target, FINE)
        for model, m in zip(models, coarse, strict=True)
    )
    return before, after


def integrated_gradients(
    model: TransferModel, image: torch.Tensor, start: torch.Tensor, target: int, steps: int = COARSE
) -> InputMap:
    """Attribute the margin of class `target` to the pixels of a normalised image (1, 3, H, W), relative to `start`."""
    margin = _margin(model, target)
    with torch.no_grad():
        difference = float(margin(image)) - float(margin(start))
    # Captum sets requires_grad on its input: a clone leaves the caller's tensor as it is.
    attributions = IntegratedGradients(margin).attribute(
        image.clone(), baselines=start.clone(), n_steps=steps, internal_batch_size=CHUNK
    )
    return InputMap(attributions[0].sum(0).detach().double().cpu().numpy(), difference, steps)


def _margin(model: TransferModel, target: int) -> Callable[[torch.Tensor], torch.Tensor]:
    def margin(images: torch.Tensor) -> torch.Tensor:
        logits = model(images)
        return logits[:, target] - logits.mean(1)  # type: ignore[no-any-return]

    return margin
