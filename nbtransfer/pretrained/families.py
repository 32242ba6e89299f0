"""How each family of torchvision and timm is cut into stages, in forward order.

A cut takes the original model, with any weights, and returns its stages and the pooling that follows them. The original
classifier is dropped. Pretrained layers between pooling and classifier form a last stage of their own ("norm" or
"prelogits"): they are shared, only the final linear layer is the head. VGG and AlexNet are the exception by convention:
average pooling replaces their large fully connected layers.

Modules keep their original names below the name of their stage.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

Cut = tuple[Mapping[str, nn.Module], nn.Module]


def chain(owner: nn.Module, *names: str) -> nn.Sequential:
    """The named children of `owner` in sequence, under their own names."""
    return nn.Sequential(OrderedDict((name, owner.get_submodule(name)) for name in names))


def gap() -> nn.Sequential:
    """Global average pooling: (N, C, H, W) to (N, C)."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1))


def _slices(layers: nn.Module, starts: Mapping[str, Iterable[int]]) -> dict[str, nn.Module]:
    return {stage: chain(layers, *map(str, numbers)) for stage, numbers in starts.items()}


def cut_resnet(net: Any) -> Cut:
    stem = chain(net, "conv1", "bn1", "relu", "maxpool")
    return {"stem": stem, **{name: getattr(net, name) for name in ("layer1", "layer2", "layer3", "layer4")}}, gap()


def cut_densenet(net: Any) -> Cut:
    f = net.features
    last = chain(f, "denseblock4", "norm5")
    last.add_module("relu", nn.ReLU())
    return {
        "stem": chain(f, "conv0", "norm0", "relu0", "pool0"),
        "block1": chain(f, "denseblock1", "transition1"),
        "block2": chain(f, "denseblock2", "transition2"),
        "block3": chain(f, "denseblock3", "transition3"),
        "block4": last,
    }, gap()


def cut_efficientnet(net: Any) -> Cut:
    last = len(net.features) - 1
    stages = {f"stage{i}": net.features[i] for i in range(1, last)}
    return {"stem": net.features[0], **stages, "conv_head": net.features[last]}, gap()


def _by_width(features: Any) -> dict[str, nn.Module]:
    """Consecutive blocks of equal width make a stage."""
    stages: dict[str, list[int]] = {}
    width = None
    for number in range(1, len(features) - 1):
        if features[number].out_channels != width:
            width = features[number].out_channels
            stages[f"stage{len(stages) + 1}"] = []
        stages[f"stage{len(stages)}"].append(number)
    return {"stem": features[0], **_slices(features, stages), "conv_head": features[-1]}


def cut_mobilenetv2(net: Any) -> Cut:
    return _by_width(net.features), gap()


def cut_mobilenetv3(net: Any) -> Cut:
    # The classifier's first linear layer was trained with the features, so it is shared.
    prelogits = nn.Sequential(
        OrderedDict(pool=net.avgpool, flat=nn.Flatten(1), linear=net.classifier[0], act=net.classifier[1])
    )
    return {**_by_width(net.features), "prelogits": prelogits}, nn.Identity()


def cut_mnasnet(net: Any) -> Cut:
    blocks = {f"stage{i - 7}": [i] for i in range(8, 14)}
    return _slices(net.layers, {"stem": range(8), **blocks, "conv_head": range(14, 17)}), gap()


def cut_regnet(net: Any) -> Cut:
    return {"stem": net.stem, **dict(net.trunk_output.named_children())}, gap()


def cut_shufflenetv2(net: Any) -> Cut:
    stem = chain(net, "conv1", "maxpool")
    return {"stem": stem, "stage2": net.stage2, "stage3": net.stage3, "stage4": net.stage4, "conv5": net.conv5}, gap()


def cut_convnext(net: Any) -> Cut:
    stages = {f"stage{i + 1}": [2 * i, 2 * i + 1] for i in range(1, 4)}
    norm = nn.Sequential(OrderedDict(pool=net.avgpool, norm=net.classifier[0]))
    return {"stem": net.features[0], "stage1": net.features[1], **_slices(net.features, stages), "norm": norm}, nn.Flatten(1)


def cut_vgg(net: Any) -> Cut:
    return _slices(net.features, _until_pooling(net.features, "block", 1)), gap()


def cut_squeezenet(net: Any) -> Cut:
    return _slices(net.features, _until_pooling(net.features, "block", 0)), gap()


def _until_pooling(features: Any, prefix: str, first: int) -> dict[str, list[int]]:
    """Each stage ends with a max pooling; stage 0 is called "stem"."""
    stages: list[list[int]] = [[]]
    for number, module in enumerate(features):
        stages[-1].append(number)
        if isinstance(module, nn.MaxPool2d) and number < len(features) - 1:
            stages.append([])
    return {(f"{prefix}{i + first}" if i + first else "stem"): numbers for i, numbers in enumerate(stages)}


def cut_alexnet(net: Any) -> Cut:
    numbers = {"conv1": range(3), "conv2": range(3, 6), "conv3": range(6, 8), "conv4": range(8, 10), "conv5": range(10, 13)}
    return _slices(net.features, numbers), gap()


class ToInceptionRange(nn.Module):
    """From ImageNet's mean and deviation to -1…1, the range GoogLeNet and Inception v3 were trained with."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        channels = [x[:, i : i + 1] * (std / 0.5) + (mean - 0.5) / 0.5 for i, (mean, std) in enumerate(_IMAGENET)]
        return torch.cat(channels, dim=1)


_IMAGENET = ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))


def cut_googlenet(net: Any) -> Cut:
    stem = chain(net, "conv1", "maxpool1", "conv2", "conv3", "maxpool2")
    return {
        "stem": nn.Sequential(OrderedDict(range=ToInceptionRange(), **dict(stem.named_children()))),
        "inception3": chain(net, "inception3a", "inception3b", "maxpool3"),
        "inception4": chain(net, *(f"inception4{x}" for x in "abcde"), "maxpool4"),
        "inception5": chain(net, "inception5a", "inception5b"),
    }, gap()


def cut_inception(net: Any) -> Cut:
    names = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2")
    stem = chain(net, *names)
    return {
        "stem": nn.Sequential(OrderedDict(range=ToInceptionRange(), **dict(stem.named_children()))),
        "mixed5": chain(net, "Mixed_5b", "Mixed_5c", "Mixed_5d"),
        "mixed6": chain(net, *(f"Mixed_6{x}" for x in "abcde")),
        "mixed7": chain(net, "Mixed_7a", "Mixed_7b", "Mixed_7c"),
    }, gap()


def cut_swin_transformer(net: Any) -> Cut:
    stages = {f"stage{i + 1}": [2 * i, 2 * i + 1] for i in range(1, 4)}
    norm = chain(net, "norm", "permute")
    return {"stem": net.features[0], "stage1": net.features[1], **_slices(net.features, stages), "norm": norm}, gap()


class PatchesToTokens(nn.Module):
    """The input side of a vision transformer: patches, class token, positions. (N, 3, H, W) to (N, 1 + patches, width)."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.conv_proj = net.conv_proj
        self.class_token = net.class_token
        self.pos_embedding = net.encoder.pos_embedding
        self.dropout = net.encoder.dropout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        patches = self.conv_proj(x).flatten(2).transpose(1, 2)
        token = self.class_token.expand(patches.shape[0], -1, -1)  # len() would fix the batch size of an export
        return self.dropout(torch.cat([token, patches], dim=1) + self.pos_embedding)  # type: ignore[no-any-return]


class ClassToken(nn.Module):
    """The first token of (N, T, C), which the classifier reads."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 0]


def cut_vision_transformer(net: Any) -> Cut:
    blocks = {f"block{i + 1}": layer for i, layer in enumerate(net.encoder.layers)}
    return {"stem": PatchesToTokens(net), **blocks, "norm": chain(net.encoder, "ln")}, ClassToken()


def cut_maxvit(net: Any) -> Cut:
    blocks = {f"block{i + 1}": block for i, block in enumerate(net.blocks)}
    return {"stem": net.stem, **blocks, "prelogits": net.classifier[:-1]}, nn.Identity()


def cut_timm_efficientnet(net: Any) -> Cut:
    blocks = {f"stage{i + 1}": block for i, block in enumerate(net.blocks)}
    return {"stem": chain(net, "conv_stem", "bn1"), **blocks, "conv_head": chain(net, "conv_head", "bn2")}, gap()


CUTS: dict[str, Callable[[Any], Cut]] = {
    name.removeprefix("cut_"): function for name, function in list(globals().items()) if name.startswith("cut_")
}
"""The cut of each family. For torchvision a family is a module of torchvision.models."""
