"""Preprocessing: from an RGB image to the input of the shared layers."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from nbtransfer.core.backbone import InputSpec
from nbtransfer.engine.data.custom_transform import Transform
from nbtransfer.engine.seeding import derive_seed, fixed_seed


def resize_and_crop(image: Image.Image, spec: InputSpec) -> torch.Tensor:
    """An image as the shared layers expect it: uint8 (3, *spec.shape)."""
    resized = F.resize(image, _resized(image, spec), InterpolationMode(spec.interpolation), antialias=True)
    if spec.crop_mode == "border":
        resized = F.pad(resized, _missing(resized, spec), fill=[round(255 * mean) for mean in spec.mean])
    return to_pixels(F.center_crop(resized, list(spec.shape)))


def _resized(image: Image.Image, spec: InputSpec) -> list[int]:
    """The height and width to resize to, or the shorter side alone: torchvision and timm then round differently."""
    wanted = spec.resized
    if spec.crop_mode == "squash":
        return list(wanted)
    if spec.crop_mode == "center" and wanted[0] == wanted[1]:
        return [spec.resize]
    sides = image.height, image.width
    ratios = [side / of for side, of in zip(sides, wanted, strict=True)]
    ratio = max(ratios) if spec.crop_mode == "border" else min(ratios)
    return [max(1, round(side / ratio)) for side in sides]


def _missing(image: Image.Image, spec: InputSpec) -> list[int]:
    """How many pixels an image lacks on the left, top, right and bottom."""
    down, across = (max(0, wanted - side) for wanted, side in zip(spec.shape, (image.height, image.width), strict=True))
    return [across // 2, down // 2, (across + 1) // 2, (down + 1) // 2]


def to_pixels(image: Image.Image) -> torch.Tensor:
    """The pixels of an RGB image as uint8 (3, H, W)."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


class Normalise:
    """uint8 (N, 3, H, W) to normalised floats on the device, in channels-last order. Other types are only moved there."""

    def __init__(self, spec: InputSpec, device: torch.device) -> None:
        mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) * 255 for v in (spec.mean, spec.std))
        self._mean, self._scale, self._device = mean, 1 / std, device

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        pixels = pixels.to(self._device, non_blocking=True)
        if pixels.dtype != torch.uint8:
            return pixels
        floats = pixels.to(torch.float32, memory_format=torch.channels_last)
        return floats.sub_(self._mean).mul_(self._scale)


class Augment:
    """Random augmentation of training images.

    `crop` takes a random 35 to 100 % of the image, `flip` and `flip_vertical` mirror it with probability ½, `colour` varies
    brightness, contrast and saturation by up to 20 % and hue by up to 2 %.

    A view is one augmented form of an image. With mirroring alone, an image has two or four views, and each epoch shows one
    of them. Otherwise there are `views` random views, or with None a new one in every epoch.

    `custom` is a transform from custom code. It comes first, on the decoded image.
    """

    def __init__(
        self, names: tuple[str, ...], spec: InputSpec, views: int | None, seed: int, custom: Transform | None = None
    ) -> None:
        self._spec, self._seed, self.views, self._custom = spec, seed, views, custom
        mode = InterpolationMode(spec.interpolation)
        mirrors = {"flip": v2.RandomHorizontalFlip(), "flip_vertical": v2.RandomVerticalFlip()}
        known = {**mirrors, "colour": v2.ColorJitter(0.2, 0.2, 0.2, 0.02)}
        self._crop = v2.RandomResizedCrop(spec.shape, scale=(0.35, 1.0), interpolation=mode) if "crop" in names else None
        self._pixelwise = [known[name] for name in names if name != "crop"]
        sides = {"flip": -1, "flip_vertical": -2}
        self._sides = [sides[name] for name in names] if set(names) <= set(sides) and custom is None else None

    @property
    def needs_original(self) -> bool:
        """Whether a view is made from the original image, not from its resized pixels."""
        return self._crop is not None or self._custom is not None

    def view(self, epoch: int, number: int) -> int:
        """Which view of an image an epoch shows."""
        return epoch if self.views is None else derive_seed(self._seed, epoch, number) % self.views

    def view_from_image(self, image: Image.Image, view: int, number: int) -> torch.Tensor:
        """A view of image `number`, from the original: uint8 (3, H, W)."""
        with fixed_seed(derive_seed(self._seed, view, number)):
            image = self._custom(image) if self._custom else image
            return self._apply_pixelwise(to_pixels(self._crop(image)) if self._crop else resize_and_crop(image, self._spec))

    def view_from_pixels(self, pixels: torch.Tensor, view: int, number: int) -> torch.Tensor:
        """A view of image `number`, from its resized and cropped pixels (3, H, W)."""
        if self._sides is not None:
            sides = [side for bit, side in enumerate(self._sides) if view >> bit & 1]
            return pixels.flip(sides) if sides else pixels
        with fixed_seed(derive_seed(self._seed, view, number)):
            return self._apply_pixelwise(pixels)

    def _apply_pixelwise(self, pixels: torch.Tensor) -> torch.Tensor:
        for transform in self._pixelwise:
            pixels = transform(pixels)
        return pixels
