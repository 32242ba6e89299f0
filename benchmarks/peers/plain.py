"""A plain PyTorch loop, written as a careful user would.

python plain.py FOLDER BACKBONE {frozen,last_stage,last_blocks,full,kept,forward} EPOCHS {fp32,autocast,bf16}

`FOLDER` holds train/CLASS/IMAGE and val/CLASS/IMAGE. Frozen layers are in evaluation mode and run without gradients; the
memory format is channels-last. `forward` is one bare pass over all images. `kept` is `full` with images that are decoded
before the clock starts, so that nothing is left but the loop. `bf16` holds the weights in bf16 too. The first batch, which
prepares kernels, does not count.
"""

import json
import resource
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import models
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

TIMM = {"efficientnet_lite0": "tf_efficientnet_lite0", "vit_small_patch16_224": "vit_small_patch16_224"}
HEADS = {"efficientnet_lite0": "classifier", "vit_small_patch16_224": "head", "convnext_tiny": "classifier.2"}
LEARNING = {
    ("resnet18", "last_stage"): ("layer4",),
    ("convnext_tiny", "last_stage"): ("features.6", "features.7", "classifier.0"),
    ("vit_small_patch16_224", "last_blocks"): ("blocks.10", "blocks.11", "norm"),
}
"""Modules that learn beside the head."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main(folder: str, backbone: str, what: str, epochs: int, precision: str) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(2)
    prepare = v2.Compose([
        v2.Resize(256), v2.CenterCrop(224), v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD),
    ])  # fmt: skip
    train, val = (
        DataLoader(ImageFolder(Path(folder) / split, prepare), 32, shuffle=split == "train") for split in ("train", "val")
    )
    net, frozen = network(backbone, len(train.dataset.classes), what)
    net = net.to(memory_format=torch.channels_last)
    if precision == "bf16":
        net = net.bfloat16()
    learning = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=1e-3, fused=True)
    if what == "kept":
        train, val = list(train), list(val)
    images, labels = next(iter(train))
    with cast(precision):
        F.cross_entropy(net.eval()(ready(images, precision)).float(), labels).backward()
    started = time.perf_counter()
    correct = total = 0
    for _ in range(epochs):
        if what == "forward":
            for loader in (train, val):
                with torch.inference_mode(), cast(precision):
                    for images, _ in loader:
                        net.eval()(ready(images, precision))
            continue
        net.train()
        for module in frozen:
            module.eval()
        for images, labels in train:
            with cast(precision):
                loss = F.cross_entropy(net(ready(images, precision)).float(), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        correct = total = 0
        net.eval()
        with torch.inference_mode(), cast(precision):
            for images, labels in val:
                correct += (net(ready(images, precision)).argmax(1) == labels).sum().item()
                total += len(labels)
    seconds = time.perf_counter() - started
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "epochs": epochs, "peak": peak, "accuracy": correct / max(total, 1)}))


def network(backbone: str, classes: int, what: str):
    """A network of torchvision or timm with a new head, and the modules that are frozen."""
    if backbone in TIMM:
        import timm

        net = timm.create_model(TIMM[backbone], num_classes=classes)
    else:
        net = models.get_model(backbone, num_classes=classes)
    if what in ("full", "kept", "forward"):
        return net, []
    learning = [net.get_submodule(name) for name in (HEADS.get(backbone, "fc"), *LEARNING.get((backbone, what), ()))]
    net.requires_grad_(False)
    for module in learning:
        module.requires_grad_(True)
    learns = {part for module in learning for part in module.modules()}
    return net, [module for module in net.modules() if module not in learns and not learns.intersection(module.modules())]


def cast(precision: str):
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "autocast")


def ready(images: torch.Tensor, precision: str) -> torch.Tensor:
    images = images.to(memory_format=torch.channels_last)
    return images.bfloat16() if precision == "bf16" else images


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]), sys.argv[5])
