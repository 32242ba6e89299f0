"""A few images of a run for measurements."""

from __future__ import annotations

import torch

from nbtransfer.engine.data.batches import Images

COUNT = 8


def sample_pixels(images: Images, count: int = COUNT) -> torch.Tensor:
    """Pixels (N, 3, size, size) of up to `count` images that can be decoded, spread over the split.

    Prefers images that are not in memory, so that decoding can be timed.
    """
    numbers = images.undecoded or range(len(images))
    step = max(1, len(numbers) // count)
    items = (images[0, number][1] for number in numbers[::step][:count])
    pixels = [item for item in items if isinstance(item, torch.Tensor)]
    return torch.stack(pixels) if pixels else torch.empty(0, 3, 1, 1, dtype=torch.uint8)
