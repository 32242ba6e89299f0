"""What two computations on the same cores do to each other, in steps per second.

Threads that wait for each other spin, as they do where nothing is set; sleep; or spin shortly and then sleep, as a worker's.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence

from nbtransfer.jobs.environment import SPIN_SHORTLY

ROUNDS, SECONDS = 5, 6
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
    kinds = {"spinning": {}, "sleeping": {"OMP_WAIT_POLICY": "PASSIVE"}, "spinning shortly": SPIN_SHORTLY}
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for kind, own in kinds.items():
            run, notebook = side_by_side([own, {}])
            values = {
                "alone": sum(side_by_side([own])),
                "two alike, both together": sum(side_by_side([own, own])),
                "beside a notebook that computes and spins": run,
                "that notebook": notebook,
            }
            for what, value in values.items():
                found.setdefault(f"{kind}, {what}", []).append(value)
    return {what: statistics.median(values) for what, values in sorted(found.items())}


def side_by_side(environments: Sequence[dict[str, str]]) -> list[float]:
    plain = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    processes = [
        subprocess.Popen([sys.executable, "-c", STEPS], env={**plain, **extra}, stdout=subprocess.PIPE)
        for extra in environments
    ]
    return [float(process.communicate()[0]) for process in processes]


if __name__ == "__main__":
    for what, value in measure().items():
        print(f"{what:60} {value:8.2f}")
