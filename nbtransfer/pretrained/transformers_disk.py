"""Image models of Hugging Face transformers by their files: which are on this machine, and which can be used at all.

Neither torch nor transformers is loaded here: only small files of text are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbtransfer.core.outlines import NO_WEIGHTS, BackboneOutline
from nbtransfer.core.text.names import suggest
from nbtransfer.errors import BackboneError
from nbtransfer.pretrained import on_disk

PREFIX = "transformers/"
CONFIG, PREPROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
README = "README.md"
ON_ITS_PAGE = "see the model's page"
_REPOSITORY = re.compile(r"([\w.-]+/)?[\w.-]+", re.ASCII)
_LICENCE = re.compile(r"^license(_name)?:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)


@dataclass(frozen=True)
class Family:
    """How the models of one `model_type` become shared layers.

    model    the class of transformers, without a head for any task, and its `options`
    pooled   whether it states features for a whole image itself (`pooler_output`); otherwise they are its first token after
             the last normalisation, which the classifiers of its family read
    part     where its configuration is inside that of a model of images and texts
    inside   the name that its layers begin with, where one of them would be called "head" otherwise
    ends     a pattern for the modules that end its stages, where these hand on more than one tensor; else they are proposed
    """

    model: str
    pooled: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    part: str | None = None
    inside: str | None = None
    ends: str | None = None


# The pooling layers of ViT and DeiT are trained in very few of the published models.
_BARE = {"add_pooling_layer": False}
_WINDOWS = r"embeddings\.dropout|encoder\.layers\.\d+\.downsample|layernorm"
FAMILIES = {
    "vit": Family("ViTModel", pooled=False, options=_BARE),
    "deit": Family("DeiTModel", pooled=False, options=_BARE),
    "dinov2": Family("Dinov2Model"),
    "dinov2_with_registers": Family("Dinov2WithRegistersModel"),
    "convnext": Family("ConvNextModel"),
    "convnextv2": Family("ConvNextV2Model"),
    "swin": Family("SwinModel", ends=_WINDOWS),
    "swinv2": Family("Swinv2Model", ends=_WINDOWS),
    "resnet": Family("ResNetModel"),
    "regnet": Family("RegNetModel"),
    "siglip": Family("SiglipVisionModel", part="vision_config", inside="vision_model"),
    "siglip_vision_model": Family("SiglipVisionModel", inside="vision_model"),
    "clip": Family("CLIPVisionModel", part="vision_config"),
    "clip_vision_model": Family("CLIPVisionModel"),
}
"""By the `model_type` in config.json."""


def repository(name: str) -> str:
    """The repository of `transformers/NAME`; raises BackboneError unless it can be one."""
    found = name.removeprefix(PREFIX)
    if not _REPOSITORY.fullmatch(found) or ".." in found:
        raise BackboneError(
            f"{name!r} names no model; write transformers/OWNER/MODEL, such as transformers/facebook/dinov2-small"
        )
    return found


def snapshot(of: str) -> Path | None:
    """The folder of a repository's files in the hub's cache, of the version that was downloaded last; None if there is none."""
    folder = on_disk.hub_cache() / f"models--{of.replace('/', '--')}"
    try:
        commit = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    found = folder / "snapshots" / commit
    return found if re.fullmatch(r"[0-9a-f]{40}", commit) and (found / CONFIG).is_file() else None


def outlines() -> Iterator[BackboneOutline]:
    """The image models in the hub's cache whose weights are there, in alphabetical order."""
    for folder in sorted(on_disk.hub_cache().glob("models--*")):
        of = folder.name.removeprefix("models--").replace("--", "/")
        files = snapshot(of)
        if files is None or not (files / WEIGHTS).is_file():
            continue
        try:
            config = read_json(files / CONFIG)
        except BackboneError:
            continue  # asking for it by name says why
        if refusal(config) is None:
            licence = licence_of(files)
            yield BackboneOutline(PREFIX + of, None, None, _shape(files), NO_WEIGHTS if licence == ON_ITS_PAGE else licence, of)


def read_json(file: Path) -> dict[str, Any]:
    """The object in a file of a model; raises BackboneError if it holds none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BackboneError(f"{file} cannot be read ({error}); delete it, so that it is downloaded again") from error
    if not isinstance(found, dict):
        raise BackboneError(f"{file} describes no model; delete it, so that it is downloaded again")
    return found


def refusal(config: Mapping[str, Any]) -> str | None:
    """Why a model with this config.json cannot be used, in words that follow its name; None if it can."""
    kind = config.get("model_type")
    if config.get("auto_map"):
        return (
            "needs code from the hub, which nbtransfer does not execute; choose another model, or write the class in code of "
            "your own (code/module.Class)"
        )
    if not isinstance(kind, str) or kind not in FAMILIES:
        what = f"is of the type {kind!r}" if kind else "states no model_type"
        return f"{what}, and nbtransfer knows image encoders of these types: {', '.join(FAMILIES)}; choose another model"
    part = FAMILIES[kind].part
    if part and not isinstance(config.get(part, {}), dict):
        return f"is damaged: {part} in its {CONFIG} is no object; delete that file, so that it is downloaded again"
    return None


def require_usable(name: str, config: Mapping[str, Any]) -> None:
    """Raise BackboneError for a model that is no image encoder of a known family."""
    if why := refusal(config):
        raise BackboneError(f"{name} {why}")


def nearest(name: str) -> str:
    """A clause that names models on this machine."""
    known = [entry.name for entry in outlines()]
    return suggest(name, known) if known else f"no image model of transformers is in {on_disk.hub_cache()}"


def licence_of(files: Path) -> str:
    """The licence that a model's README states at its top."""
    try:
        text = (files / README).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ON_ITS_PAGE
    top = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    found: dict[bool, str] = {bool(named): licence for named, licence in _LICENCE.findall(top[1])} if top else {}
    stated = found.get(False, ON_ITS_PAGE)
    return found.get(True, stated) if stated == "other" else stated


def _shape(files: Path) -> tuple[int, int] | None:
    """The height and width of the images that a model is given, if its preprocessing states them.

    Its configuration may state others, which the positions are interpolated from.
    """
    try:
        settings = read_json(files / PREPROCESSOR)
    except BackboneError:
        return None  # asking for it by name says why
    crop = settings.get("crop_size") if settings.get("do_center_crop", True) else None
    size = crop or settings.get("size")
    if isinstance(size, dict):
        size = [size.get(side, size.get("shortest_edge")) for side in ("height", "width")]
    shape = size if isinstance(size, list) else [size, size]
    sides = [side for side in shape if type(side) is int and side > 0]
    return (sides[0], sides[1]) if len(sides) == len(shape) == 2 else None
