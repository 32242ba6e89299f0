"""Image models of Hugging Face transformers, if that extra is installed. They are called `transformers/OWNER/MODEL`.

Nothing of the hub is executed: the code is that of the installed library, and weights are read from safetensors alone.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nbtransfer.core.backbone import BackboneCard, InputSpec, WeightsCard
from nbtransfer.core.text.names import short_list
from nbtransfer.errors import BackboneError, MissingExtraError, WeightsError
from nbtransfer.pretrained import hub, transformers_disk, transformers_files
from nbtransfer.pretrained.backbone import SplicedBackbone
from nbtransfer.pretrained.measure import card_of
from nbtransfer.pretrained.prove import prove
from nbtransfer.pretrained.transformers_disk import CONFIG, FAMILIES, PREPROCESSOR, WEIGHTS, Family
from nbtransfer.pretrained.transformers_input import spec_of
from nbtransfer.pretrained.trial import without_zeros
from nbtransfer.pretrained.weights import renamed

ORIGIN = "transformers"


def library() -> Any:
    """The library, or a message that names the extra."""
    if importlib.util.find_spec(ORIGIN) is None:
        raise MissingExtraError("this backbone", ORIGIN)
    return importlib.import_module(ORIGIN)


def build(name: str) -> nn.Module:
    """The model with random weights: images (N, 3, H, W) to features (N, width)."""
    config, family = _configuration(transformers_files.described(name))
    with _quiet():
        return _as_features(_class_of(family)(config, **family.options), family)


def _configuration(files: Path) -> tuple[Any, Family]:
    """The configuration of the part that sees images, and its family."""
    try:
        whole = library().AutoConfig.from_pretrained(str(files), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever a foreign file makes it raise
        raise BackboneError(f"{files / CONFIG} cannot be used ({type(error).__name__}); choose another model") from error
    family = FAMILIES[whole.model_type]
    config = getattr(whole, family.part) if family.part else whole
    if hasattr(config, "use_mask_token"):
        config.use_mask_token = False  # for pretraining: it takes no part in the features
    return config, family


def _class_of(family: Family) -> Any:
    return getattr(library(), family.model)


def _as_features(net: Any, family: Family) -> nn.Module:
    """The model itself, with a forward pass of images to features; its layers keep their names."""
    if family.pooled and not getattr(net, "use_head", True):
        raise BackboneError("this model states no features for a whole image (vision_use_head); choose another one")
    kind: Any = type(net)
    net.__class__ = _with_features(kind, family.pooled)
    return Named(family.inside, net) if family.inside else net


class Named(nn.Module):
    """A model under a name, which begins those of its layers."""

    def __init__(self, name: str, net: nn.Module) -> None:
        super().__init__()
        self.add_module(name, net)
        self._name = name

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """What the model gives."""
        return self.get_submodule(self._name)(images)


@functools.cache
def _with_features(kind: type[Any], pooled: bool) -> type[nn.Module]:
    knows_sizes = "interpolate_pos_encoding" in inspect.signature(kind.forward).parameters

    def forward(self: Any, images: torch.Tensor) -> torch.Tensor:
        """Features (N, width) of normalised images (N, 3, H, W)."""
        other = knows_sizes and tuple(images.shape[2:]) != _own_shape(self.config)
        found = kind.forward(self, pixel_values=images, **({"interpolate_pos_encoding": True} if other else {}))
        features = found.pooler_output if pooled else found.last_hidden_state[:, 0]
        return features.flatten(1)

    return type(kind.__name__, (kind,), {"forward": forward, "__module__": __name__})


def _own_shape(config: Any) -> tuple[int, int]:
    size = config.image_size
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def make_card(name: str) -> BackboneCard:
    """The card of a model, whose cut is proved now; raises BackboneError if it cannot be used."""
    files = transformers_files.described(name)
    spec = input_spec(name, files)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = without_zeros(build(name))
    try:
        backbone = SplicedBackbone(net, prove(net, spec.shape, _stated_ends(files, net)), spec.shape)
        return card_of(name, ORIGIN, ORIGIN, backbone, spec, (_weights_card(files, spec),))
    except Exception as error:  # whatever a foreign model raises
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise BackboneError(f"{name} cannot be used: it fails on an image of its own size ({why})") from error


def _stated_ends(files: Path, net: nn.Module) -> tuple[str, ...] | None:
    """The modules that end the stages of its family, if that states them."""
    _, family = _configuration(files)
    pattern = family.ends
    return tuple(name for name, _ in net.named_modules() if re.fullmatch(pattern, name)) if pattern else None


def input_spec(name: str, files: Path) -> InputSpec:
    """The model's own preprocessing as plain data; raises BackboneError where it is not known here."""
    processors = library().AutoImageProcessor
    try:
        with _quiet():
            made = processors.from_pretrained(str(files), backend="pil", local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever a foreign file makes it raise
        raise BackboneError(
            f"{PREPROCESSOR} of {name} cannot be used ({type(error).__name__}); choose another model"
        ) from error
    return spec_of(name, made)


def _weights_card(files: Path, spec: InputSpec) -> WeightsCard:
    """The published weights. Only the hub knows their digest, see `hub.verified`."""
    licence = transformers_disk.licence_of(files)
    return WeightsCard("default", WEIGHTS, "", None, licence, spec, transformers_disk.ON_ITS_PAGE, 0)


def weights_path(name: str) -> Path:
    """The verified weights file of a model, of the version that is in the hub's cache, or downloaded."""
    of = transformers_disk.repository(name)
    files = transformers_disk.snapshot(of)
    if files is not None and (files / WEIGHTS).is_file():
        return hub.verified(files / WEIGHTS, WEIGHTS, of)
    return hub.verified_file(of, WEIGHTS, files.name if files else None)


def adapted(name: str, net: nn.Module, state: Mapping[str, torch.Tensor], path: Path) -> Mapping[str, torch.Tensor]:
    """The tensors of a file of transformers as that itself reads them: it knows the names that older versions gave them.

    What belongs to other parts (a classifier, a model of texts) is left out. Raises WeightsError if anything is missing.
    """
    wanted = net.state_dict()
    if renamed(state, wanted).keys() == wanted.keys():
        return state
    config, family = _configuration(transformers_files.described(name))
    try:
        with _quiet():
            read, found = _class_of(family).from_pretrained(
                None, config=config, state_dict=dict(state), dtype=torch.float32, output_loading_info=True, **family.options
            )
    except Exception as error:  # whatever transformers raises for tensors of other shapes
        raise WeightsError(
            f"{path} does not fit {name} ({(str(error).strip().splitlines() or [''])[0][:200]}); "
            "give another file, or delete it if it is the published one"
        ) from error
    if missing := sorted(found["missing_keys"]):
        raise WeightsError(
            f"{path} does not fit {name} ({len(missing)} missing: {short_list(missing, most=3)}); give another file"
        )
    prefix = f"{family.inside}." if family.inside else ""
    return {f"{prefix}{key}": tensor for key, tensor in read.state_dict().items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without reports and progress bars of transformers, which would be in the log of a run, or in a notebook."""
    logging = library().logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
