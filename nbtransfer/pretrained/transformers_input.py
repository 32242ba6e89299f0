"""The preprocessing of transformers' image processors as plain data, where it can be expressed."""

from __future__ import annotations

import math
from typing import Any, NoReturn

from nbtransfer.core.backbone import CropMode, InputSpec, Interpolation
from nbtransfer.errors import BackboneError

FILTERS: dict[int, Interpolation] = {0: "nearest", 2: "bilinear", 3: "bicubic"}
"""By Pillow's numbers."""
PLAIN = ("ViT", "DeiT", "Bit", "CLIP", "Siglip")
"""Processors that resize, cut off, and normalise, as their settings say."""
CONVNEXT = "ConvNext"
CONVNEXT_SQUASHED = 384
"""From this size on, ConvNext's processor cuts nothing off."""


def spec_of(name: str, processor: Any) -> InputSpec:
    """What an image processor does; raises BackboneError for what cannot be expressed here."""
    kind = type(processor).__name__.removesuffix("Pil").removesuffix("ImageProcessor")
    if kind not in (*PLAIN, CONVNEXT):
        _refuse(name, f"is done by {type(processor).__name__}")
    if not getattr(processor, "do_resize", False):
        _refuse(name, "does not resize (do_resize)")
    if not getattr(processor, "do_rescale", False) or not math.isclose(processor.rescale_factor, 1 / 255, rel_tol=1e-6):
        _refuse(name, "does not divide by 255 (rescale_factor)")
    resample = int(processor.resample)
    if resample not in FILTERS:
        _refuse(name, f"resizes with Pillow's filter {resample} (resample)")
    mode, resize, shape = _convnext(name, processor) if kind == CONVNEXT else _plain(name, processor)
    mean, std = _normalisation(name, processor)
    width = None if shape[0] == shape[1] else shape[1]
    return InputSpec(shape[0], resize, FILTERS[resample], mean, std, mode, width)


def _refuse(name: str, what: str) -> NoReturn:
    raise BackboneError(f"the preprocessing of {name} {what}, which nbtransfer does not do; choose another model")


def _plain(name: str, processor: Any) -> tuple[CropMode, int, tuple[int, int]]:
    """How it is resized, to how many pixels, and what shape is kept."""
    size, crop = processor.size, processor.crop_size if getattr(processor, "do_center_crop", False) else None
    kept = (crop.height, crop.width) if crop is not None else None
    if size.shortest_edge and not size.longest_edge:
        if kept is None:
            _refuse(name, "gives images of various shapes (do_center_crop)")
        if kept[0] != kept[1] or kept[0] > size.shortest_edge:
            _refuse(name, f"keeps {kept[0]} × {kept[1]} px of a shorter side of {size.shortest_edge} px (crop_size)")
        return "center", size.shortest_edge, kept
    if not (size.height and size.width):
        _refuse(name, "states no height and width, nor a shorter side (size)")
    resized = (size.height, size.width)
    kept = kept or resized
    if kept[0] > resized[0] or kept[0] * resized[1] != kept[1] * resized[0]:
        _refuse(name, f"keeps {kept[0]} × {kept[1]} px of {resized[0]} × {resized[1]} px (crop_size)")
    return "squash", resized[0], kept


def _convnext(name: str, processor: Any) -> tuple[CropMode, int, tuple[int, int]]:
    side = processor.size.shortest_edge
    if not side:
        _refuse(name, "states no shorter side (size)")
    if side >= CONVNEXT_SQUASHED:
        return "squash", side, (side, side)
    return "center", int(side / processor.crop_pct), (side, side)


def _normalisation(name: str, processor: Any) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    if not getattr(processor, "do_normalize", False):
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    mean, std = (tuple(map(float, values)) for values in (processor.image_mean, processor.image_std))
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        _refuse(name, "is not for RGB images (image_mean, image_std)")
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])
