"""`python -m benchmarks.splicing`: what it costs that a model of timm is left and entered in the middle of its forward pass.

One pass as the authors wrote it, and one in two parts, in turn in one process; the ratio of their medians over all boundaries.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from nbtransfer.pretrained import cards, registry

MODELS = ("vit_tiny_patch16_224", "convnext_atto", "resnet10t")
GOAL = 1.02


def seconds(function: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


@torch.no_grad()
def ratios(name: str, images: int, rounds: int) -> dict[str, float]:
    """For each boundary of a model, the time of both parts as a multiple of the time of the whole."""
    card = cards.card(f"timm/{name}")
    backbone = registry.build(card, None).module.eval()
    x = torch.randn(images, 3, *card.input.shape)
    found = {}
    for number, end in enumerate(card.ends, 1):

        def parts(number: int = number) -> None:
            backbone.pool(backbone.run(backbone.run(x, 0, number), number))

        parts()
        timed = [(seconds(lambda: backbone(x)), seconds(parts)) for _ in range(rounds)]
        whole, split = (statistics.median(column) for column in zip(*timed, strict=True))
        found[end] = split / whole
    return found


def main() -> None:
    """Print the ratio at each boundary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=16, help="in a batch")
    parser.add_argument("--rounds", type=int, default=15, help="of both, in turn")
    given = parser.parse_args()
    for name in MODELS:
        found = ratios(name, given.images, given.rounds)
        each = ", ".join(f"{end} {ratio:.3f}" for end, ratio in found.items())
        print(f"{name}, {given.images} images: median {statistics.median(found.values()):.3f} (goal {GOAL}); {each}")


if __name__ == "__main__":
    main()
