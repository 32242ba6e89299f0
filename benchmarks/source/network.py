"""The architecture of all arms: the first half of efficientnet_lite0, small enough for images of 32 pixels on one core."""

from __future__ import annotations

from pathlib import Path

import torch

import nbtransfer as nt
from nbtransfer.pretrained import timm_models

NAME = "code/first_half.Net"
CODE = '''
import timm
from torch import nn


class Net(nn.Module):
    """The stem and the first three stages of blocks: 40 features."""

    image_size = 32
    mean = std = (0.5, 0.5, 0.5)
    stages = ("stem", "blocks.0", "blocks.1", "blocks.2")

    def __init__(self):
        super().__init__()
        whole = timm.create_model("tf_efficientnet_lite0")
        self.stem = nn.Sequential(whole.conv_stem, whole.bn1)
        self.blocks = whole.blocks[:3]

    def forward(self, images):
        return self.blocks(self.stem(images)).mean((2, 3))
'''


def define() -> None:
    nt.code("first_half", CODE)


def imagenet_weights(folder: Path) -> str:
    """A file with the ImageNet weights of these stages, out of the package that holds all of them."""
    net = nt.code("first_half", CODE).Net()
    whole = timm_models.build("efficientnet_lite0")
    tensors = torch.load(timm_models.packaged_file("efficientnet_lite0"), weights_only=True)
    whole.load_state_dict(dict(zip(whole.state_dict(), tensors.values(), strict=True)))  # in order: its names are others
    net.stem.load_state_dict(
        {f"{i}.{k}": v for i, part in enumerate((whole.conv_stem, whole.bn1)) for k, v in part.state_dict().items()}
    )
    net.blocks.load_state_dict(whole.blocks[:3].state_dict())
    file = folder / "imagenet.pt"
    torch.save(net.state_dict(), file)
    return str(file)
