"""A few images of a run to measure on."""

from __future__ import annotations

import torch

from nbtransfer.engine.data.batches import Images

COUNT = 8


def sample_pixels(images: Images, count: int = COUNT) -> torch.Tensor:
    """Pixels (N, 3, size, size) of up to `count` images that can be decoded, from all over the split.

    Images that are not decoded yet come first, so that decoding can be timed.
    """
    numbers = images.undecoded or range(len(images))
    step = max(1, len(numbers) // count)
    found = (images[0, number][1] for number in numbers[::step][:count])
    pixels = [item for item in found if isinstance(item, torch.Tensor)]
    return torch.stack(pixels) if pixels else torch.empty(0, 3, 1, 1, dtype=torch.uint8)
