"""Pixels, against the transforms of the libraries that published the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision import models

from benchmarks.truth.claim import Claim
from nbtransfer.core import catalog
from nbtransfer.core.backbone import InputSpec
from nbtransfer.engine.data.preprocess import Normalise, resize_and_crop
from nbtransfer.pretrained.timm_models import spec_of

SIZES = ((640, 427), (427, 640), (224, 224), (33, 90), (300, 301))
MOST = 2e-5


def torchvision_presets(*, quick: bool) -> Claim:
    """Every set of weights in the catalogue."""
    names = [name for name in catalog.names() if name in models.list_models()]
    pairs = [
        (entry.input, models.get_model_weights(name)[entry.name].transforms())
        for name in (names[:3] if quick else names)
        for entry in catalog.card(name).weights
    ]
    return _compare("torchvision's preprocessing", "the transforms of its weights", pairs)


def timm_configurations(*, quick: bool) -> Claim:
    """Every configuration of weights that timm knows; equal ones are computed once."""
    import timm
    from timm import data

    names = timm.list_pretrained()[:: 100 if quick else 1]
    configs = [data.resolve_data_config({}, pretrained_cfg=timm.get_pretrained_cfg(name).to_dict()) for name in names]
    distinct = {repr(sorted(config.items())): config for config in configs}
    pairs = [(spec_of(config), data.create_transform(**config, is_training=False)) for config in distinct.values()]
    claim = _compare("timm's preprocessing", "its own `create_transform`", pairs)
    return Claim(claim.what, claim.how, f"{len(names):,} configurations ({claim.cases})", claim.found, claim.failed)


def _compare(what: str, how: str, pairs: list[tuple[InputSpec, Callable[[Image.Image], Any]]]) -> Claim:
    random, failed, worst = np.random.default_rng(0), 0, 0.0
    for spec, theirs in pairs:
        for width, height in SIZES:
            image = Image.fromarray(random.integers(0, 255, (height, width, 3), dtype=np.uint8))
            ours = Normalise(spec, torch.device("cpu"))(resize_and_crop(image, spec)[None])[0]
            expected = theirs(image)
            difference = (ours - expected).abs().max().item() if ours.shape == expected.shape else float("inf")
            worst, failed = max(worst, difference), failed + (difference > MOST)
    cases = f"{len(pairs)} different ones, {len(SIZES)} sizes of image"
    return Claim(what, how, cases, f"largest difference {worst:.1e} after normalisation", failed)
