"""What it saves a worker to keep the memory of freed tensors, and what it costs: seconds and peak memory over those without."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.loop import bare_step
from nbtransfer.jobs.environment import KEEP_MEMORY, SPIN_SHORTLY

ROUNDS = 3
WORK = (
    ("resnet18", "forward"),
    ("vgg16", "forward"),
    ("resnet18", "training"),
    ("efficientnet_lite0", "training"),
)
"""On batches of 32 images of 224 pixels, two threads."""


def measure() -> dict[str, float]:
    figures = {}
    for backbone, what in WORK:
        ratios = []
        for _ in range(ROUNDS):
            kept, handed_back = (in_a_process(backbone, what, own) for own in (KEEP_MEMORY, {}))
            ratios.append((kept["seconds"] / handed_back["seconds"], kept["peak"] / handed_back["peak"]))
        seconds, peak = zip(*ratios, strict=True)
        figures |= {
            f"{backbone}, {what}: seconds": statistics.median(seconds),
            f"{backbone}, {what}: peak memory": statistics.median(peak),
        }
    return figures


def in_a_process(backbone: str, what: str, own: dict[str, str]) -> dict[str, float]:
    """Seconds of a batch, a median, and the most bytes that the process took."""
    without = {name: value for name, value in os.environ.items() if name not in KEEP_MEMORY}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", backbone, what],
        cwd=Path(__file__).parents[1], env={**without, **SPIN_SHORTLY, **own}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def batches(backbone: str, what: str) -> dict[str, float]:
    """What one process measures; the first batch, which prepares kernels, does not count."""
    import torch

    torch.set_num_threads(2)
    work = bare_step(backbone, 1) if what == "training" else forward(backbone)
    found = []
    for _ in range(5):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": statistics.median(found[1:]), "peak": peak}


def forward(backbone: str) -> Callable[[], None]:
    """One pass, of VGG16 without the layers that turn features into classes."""
    import torch
    from torchvision import models

    net = models.get_model(backbone)
    net = net.features if backbone == "vgg16" else net
    net = net.to(memory_format=torch.channels_last).eval()
    images = torch.rand(32, 3, 224, 224).to(memory_format=torch.channels_last)

    def work() -> None:
        with torch.inference_mode():
            net(images)

    return work


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(batches(*sys.argv[1:])))
    else:
        for figure, value in measure().items():
            print(f"{figure:60} {value:8.2f}")
