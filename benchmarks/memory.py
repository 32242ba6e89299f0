"""What it saves a worker to keep the memory of freed tensors, and what it costs: seconds and peak memory over those without."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

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
    import resource
    import time

    import torch
    from torch.nn import functional as F

    from benchmarks.peers import plain

    torch.set_num_threads(2)
    if backbone == "vgg16":
        from torchvision import models

        net = models.vgg16().features
    else:
        net, _ = plain.network(backbone, 3, "full")
    net = net.to(memory_format=torch.channels_last).train(what == "training")
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, fused=True)
    images = torch.rand(32, 3, 224, 224).to(memory_format=torch.channels_last)
    labels = torch.zeros(32, dtype=torch.long)
    found = []
    for _ in range(5):
        started = time.perf_counter()
        if what == "training":
            loss = F.cross_entropy(net(images), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        else:
            with torch.inference_mode():
                net(images)
        found.append(time.perf_counter() - started)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": statistics.median(found[1:]), "peak": peak}


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(batches(*sys.argv[1:])))
    else:
        for figure, value in measure().items():
            print(f"{figure:60} {value:8.2f}")
