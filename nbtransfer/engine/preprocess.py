"""From an RGB image to what the shared layers expect. The only place that knows how."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from nbtransfer.core.backbone import InputSpec


def shape(image: Image.Image, spec: InputSpec) -> torch.Tensor:
    """Resize the shorter side and keep the centre: uint8 (3, size, size)."""
    resized = F.resize(image, [spec.resize], InterpolationMode(spec.interpolation), antialias=True)
    return to_pixels(F.center_crop(resized, [spec.size]))


def to_pixels(image: Image.Image) -> torch.Tensor:
    """The pixels of an RGB image as uint8 (3, H, W)."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


class Normalise:
    """uint8 (N, 3, H, W) to normalised floats on the device, in channels-last order."""

    def __init__(self, spec: InputSpec, device: torch.device) -> None:
        mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) * 255 for v in (spec.mean, spec.std))
        self._mean, self._scale, self._device = mean, 1 / std, device

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        pixels = pixels.to(self._device, non_blocking=True)
        floats = pixels.to(torch.float32, memory_format=torch.channels_last)
        return floats.sub_(self._mean).mul_(self._scale)


class Augment:
    """Random changes of training images, the same for the same seed.

    `crop` takes a random part of 35 to 100 % of the image, `flip` and `flip_vertical` mirror it with probability ½,
    `colour` varies brightness, contrast and saturation by up to 20 % and hue by up to 2 %.
    """

    def __init__(self, names: tuple[str, ...], spec: InputSpec) -> None:
        self._spec = spec
        mode = InterpolationMode(spec.interpolation)
        known = {
            "flip": v2.RandomHorizontalFlip(),
            "flip_vertical": v2.RandomVerticalFlip(),
            "colour": v2.ColorJitter(0.2, 0.2, 0.2, 0.02),
        }
        self._crop = v2.RandomResizedCrop(spec.size, scale=(0.35, 1.0), interpolation=mode) if "crop" in names else None
        self._pixelwise = [known[name] for name in names if name != "crop"]

    @property
    def crops(self) -> bool:
        """Whether the shaped image depends on the draw."""
        return self._crop is not None

    def shape(self, image: Image.Image) -> torch.Tensor:
        """A random part of the image, else its centre."""
        return shape(image, self._spec) if self._crop is None else to_pixels(self._crop(image))

    def change(self, pixels: torch.Tensor) -> torch.Tensor:
        """Mirror and recolour (3, H, W)."""
        for transform in self._pixelwise:
            pixels = transform(pixels)
        return pixels
