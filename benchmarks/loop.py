"""What our loop adds to a bare PyTorch loop over images that were decoded before: steps of both in turn, in one process.

Two jobs that run one after the other meet different neighbours on a shared machine; two steps hardly do.
"""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable

from benchmarks.peers import plain

EPOCHS, BATCHES, SIZE, CLASSES = 3, 9, 32, 3


def measure() -> dict[str, float]:
    figures = {}
    for backbone in ("resnet18", "efficientnet_lite0"):
        ratios = [ours / bare for ours, bare in steps(backbone)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        figures[f"{backbone}, a step of ours over a bare one (goal at most 1.03)"] = middle
        figures |= {f"    {backbone}: quarter below": low, f"    {backbone}: quarter above": high}
    return figures


def steps(backbone: str) -> list[tuple[float, float]]:
    """Seconds of a training step of ours and of the bare one after it, but for the first epoch, which decodes the images."""
    import nbtransfer as nt
    from nbtransfer.core import events as ev
    from nbtransfer.engine.control import Unattended
    from nbtransfer.engine.training import carry_out
    from nbtransfer.store import runs

    class InTurn(Unattended):
        """Is asked after every step of ours whether anybody waits; does a bare one, and takes the time of both."""

        pairs: list[tuple[float, float]] = []  # noqa: RUF012 - begun anew with each epoch
        since: float | None = None

        def waiting(self) -> bool:
            now = time.perf_counter()
            if self.since is not None:
                bare()
                self.pairs.append((now - self.since, time.perf_counter() - now))
            self.since = time.perf_counter()
            return False

    with tempfile.TemporaryDirectory() as home:
        os.environ["NBTRANSFER_HOME"] = home
        task = nt.Task.demo("textile", per_class=100, holdout=0.04)
        assert task.sizes["train"] == BATCHES * SIZE
        recipe = nt.Recipe(
            task=task, backbone=backbone, weights=None, strategy="ft", epochs=EPOCHS, batch_size=SIZE, image_size=224,
            augment=(), clip_grad=None, precision="fp32", device="cpu", threads=2,
        )  # fmt: skip
        bare, turns, epochs = bare_step(backbone), InTurn(), []
        for event in carry_out(recipe, runs.create(recipe), turns):
            if isinstance(event, ev.EpochEnded):
                epochs.append(turns.pairs[:BATCHES])  # validation comes after these
                assert len(epochs[-1]) == BATCHES
                turns.pairs, turns.since = [], None
    return list(itertools.chain(*epochs[1:]))


def bare_step(backbone: str, count: int = BATCHES) -> Callable[[], None]:
    """One step of a loop that holds nothing else, on one after the other of `count` batches."""
    import torch
    from torch.nn import functional as F

    net, _ = plain.network(backbone, CLASSES, "full")
    net = net.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, fused=True)
    batches = itertools.cycle((torch.randn(SIZE, 3, 224, 224), torch.randint(CLASSES, (SIZE,))) for _ in range(count))

    def step() -> None:
        images, labels = next(batches)
        loss = F.cross_entropy(net(plain.ready(images, "fp32")), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


if __name__ == "__main__":
    for what, value in measure().items():
        print(f"{what:70} {value:8.3f}")
