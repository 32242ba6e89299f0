"""Forward pass, loss and backward pass, for training and for measuring the cost of a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn import functional as F

from nbtransfer.engine.device import Device
from nbtransfer.engine.model.transfer_model import TransferModel


def forward_loss(
    model: TransferModel, inputs: torch.Tensor, labels: torch.Tensor, device: Device, start: int = 0, smoothing: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (N, classes) in fp32 and their mean cross-entropy in nats; `inputs` are those of stage number `start`."""
    with device.autocast():
        logits = model(inputs, start).float()
        return logits, F.cross_entropy(logits, labels, label_smoothing=smoothing)


def trial_step(model: TransferModel, inputs: torch.Tensor, device: Device, start: int = 0) -> None:
    """Forward and backward pass as in training. Weights stay as they are; gradients are meaningless."""
    model.zero_grad()
    labels = torch.zeros(len(inputs), dtype=torch.long, device=device.torch)
    _, loss = forward_loss(model, inputs, labels, device, start)
    loss.backward()  # type: ignore[no-untyped-call]


@contextmanager
def evaluation_mode(model: TransferModel) -> Iterator[None]:
    """Put the model into evaluation mode; afterwards restore its mode and clear its gradients."""
    before = model.training
    model.eval()
    try:
        yield
    finally:
        model.zero_grad()
        model.train(before)
