"""The tensors of saved shared layers; see `pretrained.saved`."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.pretrained import measure, saved


def write(folder: Path, model: TransferModel) -> None:
    """Write the shared layers, and the head if it is one linear layer."""
    save_file({name: tensor.contiguous() for name, tensor in model.backbone.state_dict().items()}, folder / saved.WEIGHTS)
    if isinstance(model.head, nn.Linear):
        save_file({name: tensor.contiguous() for name, tensor in model.head.state_dict().items()}, folder / saved.HEAD)


def multiply_adds(model: TransferModel) -> int:
    """Of the shared layers, for one image of the size that the model was trained with."""
    return measure.multiply_adds(model.backbone, model.spec.shape)[0]
