"""What two computations on the same cores do to each other, in steps per second, with threads that spin and that sleep."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

SECONDS = 6
STEPS = f"""
import time, torch, torchvision
torch.manual_seed(0)
net = torchvision.models.resnet18(num_classes=3).to(memory_format=torch.channels_last)
x = torch.rand(16, 3, 128, 128).to(memory_format=torch.channels_last)
label, optimiser = torch.zeros(16, dtype=torch.long), torch.optim.SGD(net.parameters(), lr=0.01)
def step():
    optimiser.zero_grad(); torch.nn.functional.cross_entropy(net(x), label).backward(); optimiser.step()
step()
started, steps = time.perf_counter(), 0
while time.perf_counter() - started < {SECONDS}:
    step(); steps += 1
print(steps / (time.perf_counter() - started))
"""


def measure() -> dict[str, float]:
    spin, sleep = {}, {"OMP_WAIT_POLICY": "PASSIVE"}
    figures = {}
    for name, environments in {
        "alone, spinning": [spin],
        "alone, sleeping": [sleep],
        "two, spinning, both together": [spin, spin],
        "two, sleeping, both together": [sleep, sleep],
    }.items():
        figures[name] = sum(side_by_side(environments))
    return figures


def side_by_side(environments: Sequence[dict[str, str]]) -> list[float]:
    processes = [
        subprocess.Popen([sys.executable, "-c", STEPS], env={**os.environ, **extra}, stdout=subprocess.PIPE)
        for extra in environments
    ]
    return [float(process.communicate()[0]) for process in processes]


if __name__ == "__main__":
    for what, value in measure().items():
        print(f"{what:32} {value:8.2f}")
