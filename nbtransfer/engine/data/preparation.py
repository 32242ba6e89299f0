"""From images as users give them to the input of a model."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image

from nbtransfer.core.backbone import InputSpec
from nbtransfer.core.task import Reading
from nbtransfer.engine.data.preprocess import Normalise, resize_and_crop
from nbtransfer.errors import InputError
from nbtransfer.tasks.decode import AS_IS
from nbtransfer.tasks.inputs import GivenImage, InputReader, refusal


class Preprocess:
    """The preprocessing of a model. It prints as a sentence."""

    def __init__(self, spec: InputSpec, device: torch.device, reading: Reading = AS_IS) -> None:
        self.spec, self.device, self.reading = spec, device, reading

    def __call__(self, images: Any) -> torch.Tensor:
        """One image or many as normalised float32 (N, 3, H, W) on the device of the model.

        Images are given as to `nbtransfer.predict`. Raises InputError for one that cannot be used.
        """
        opened = [resize_and_crop(_opened(image), self.spec) for image in InputReader(reading=self.reading).images(images)]
        if not opened:
            raise InputError("there is no image to preprocess; give one or more")
        return Normalise(self.spec, self.device)(torch.stack(opened))

    def __repr__(self) -> str:
        return f"Preprocess: {self.spec.description}"


def _opened(given: GivenImage) -> Image.Image:
    try:
        return given.rgb()
    except InputError as error:
        raise InputError(refusal(given.name, error)) from error
