"""How long it takes to solve for a head, in seconds: 2,000 images with 1,280 features each, of 10 classes, on two threads."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

REPEATS = 5
IMAGES, WIDTH, CLASSES = 2000, 1280, 10


def measure() -> dict[str, float]:
    import torch

    from nbtransfer.engine.fit.logistic_regression import logistic_path
    from nbtransfer.engine.fit.ridge_regression import ridge_path

    torch.set_num_threads(2)
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(IMAGES) % CLASSES
    centres = torch.randn(CLASSES, WIDTH, generator=generator)
    features = (centres[labels] * 0.2 + torch.randn(IMAGES, WIDTH, generator=generator)).relu()[:, None]
    few = features[:500]
    return {
        "ridge, all strengths with every image left out once (goal 1)": seconds(lambda: ridge_path(features, labels, CLASSES)),
        "ridge, 500 images: fewer than features": seconds(lambda: ridge_path(few, labels[:500], CLASSES)),
        "logistic, the whole path (goal 1)": seconds(lambda: list(logistic_path(features, labels, CLASSES))),
    }


def seconds(work: Callable[[], object]) -> float:
    """The median of some times after a first one."""
    found = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return statistics.median(found[1:])


if __name__ == "__main__":
    for what, value in measure().items():
        print(f"{what:65} {value:8.3f}")
