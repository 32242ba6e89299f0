"""fastai over the same images: python -m benchmarks.gpu.with_fastai DEVICE BACKBONE {head,last stage,all} BATCH COUNT SIDE

Its learner with mixed precision as it offers it (bf16), the network of torchvision, and pixels that are normalised on the
device. Seconds of the last of two epochs.
"""

from __future__ import annotations

import json
import sys
import time

import torch
from torch import nn

from benchmarks.gpu.plain import MEAN, STD, network, splits


class Normalised(nn.Module):
    """A network that takes bytes."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, 255 * torch.tensor(values).view(1, 3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.net((pixels.float() - self.mean) / self.std)


def main(device: str, backbone: str, what: str, batch: int, count: int, side: int) -> None:
    from fastai.vision.all import Callback, CrossEntropyLossFlat, DataLoaders, Learner, accuracy

    class Clock(Callback):
        def before_epoch(self) -> None:
            self.began = time.perf_counter()

        def after_epoch(self) -> None:
            if device != "cpu":
                torch.cuda.synchronize()
            self.seconds = time.perf_counter() - self.began

    workers = 4 if device != "cpu" else 0
    loaders = DataLoaders.from_dsets(
        *splits(count, side), bs=batch, device=torch.device(device), num_workers=workers, pin_memory=device != "cpu"
    )
    net, _ = network(backbone, what)
    learner = Learner(loaders, Normalised(net), loss_func=CrossEntropyLossFlat(), metrics=accuracy, cbs=Clock())
    if device != "cpu":
        learner.to_bf16()
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(2, 1e-3)
    print(json.dumps({"seconds": learner.clock.seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:7]))
