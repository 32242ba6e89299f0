"""Find a backbone by name, and build it with the chosen weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.code import Code
from nbtransfer.errors import BackboneError, InputError, MissingExtraError, RecipeError
from nbtransfer.pretrained import foreign, own_nets, saved, timm_models, torchvision_models, transformers_models, weights
from nbtransfer.pretrained.backbone import Backbone, SplicedBackbone, StagedBackbone
from nbtransfer.pretrained.families import CUTS
from nbtransfer.pretrained.layer_traits import exempt
from nbtransfer.pretrained.measure import card_of, multiply_adds, structure_only
from nbtransfer.pretrained.prove import Cut, prove
from nbtransfer.pretrained.trial import without_zeros

T = TypeVar("T")
TIMM_CUTS = {"EfficientNet": "timm_efficientnet"}
"""Classes of timm that are cut by hand; any other is spliced where a cut can be proved."""


@dataclass(frozen=True)
class BuiltBackbone:
    """Shared layers, ready to use. `digest` is the sha256 of the weights file, or None for random weights."""

    module: Backbone
    digest: str | None


def build(
    card: BackboneCard,
    choice: str | None,
    *,
    own_file: bool = False,
    seed: int = 0,
    size: int | None = None,
    codes: Iterable[Code] = (),
) -> BuiltBackbone:
    """Build shared layers with the weights called `choice`, from a custom file, or random from `seed` (None).

    `size` is the image size in pixels, if the architecture depends on it; None takes that of the weights. `codes` holds the
    user's own. Raises WeightsError if the weights are missing, altered, or do not fit.
    """
    entry = None if choice is None or own_file else card.weights_named(choice)
    size = size or (entry.input if entry else card.input).size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = original_net(card, size, codes)
        original = dict(net.state_dict(keep_vars=True))  # before the cut, which may remove the classifier
        backbone = cut(card, net, card.input.at(size).shape)
    if choice is None:
        return BuiltBackbone(backbone, None)
    path = Path(choice).expanduser() if entry is None else _weights_path(card, entry.name, net)
    state = foreign.read(path) if entry is None else weights.read(path)
    if entry is None or card.lineage is not None:
        state = _original_names(state, original, backbone)
    if entry is not None and card.name in timm_models.PACKAGED:
        # The file uses the names of the original implementation, in the same order.
        state = dict(zip(net.state_dict(), state.values(), strict=True))
    if card.origin == timm_models.ORIGIN:
        state = timm_models.adapted(net, state)
    if card.origin == transformers_models.ORIGIN:
        state = transformers_models.adapted(card.built_as, net, state, path)
    weights.fill(net, state, path, _unused(original, backbone))
    return BuiltBackbone(backbone, weights.file_digest(path))


def cut(card: BackboneCard, net: Any, shape: tuple[int, int]) -> Backbone:
    """An original model as a Backbone, for images of this height and width."""
    if card.family in CUTS:
        return cut_by_hand(card.family, net)
    if card.origin == timm_models.ORIGIN:
        _take_off_classifier(net)
    return SplicedBackbone(
        net, Cut(card.stages, card.ends, {layer.name: layer.stage for layer in card.layers}, dict(card.leaves)), shape
    )


def cut_by_hand(family: str, net: Any) -> StagedBackbone:
    """An original model of a family with a cut of its own."""
    exempt(net)
    return StagedBackbone(*CUTS[family](net))


def _take_off_classifier(net: Any) -> None:
    exempt(net)
    net.reset_classifier(0)


def original_net(card: BackboneCard, size: int, codes: Iterable[Code] = ()) -> Any:
    """The original model with random weights and the classifier of its source task, for images of `size` pixels."""
    if card.origin == own_nets.ORIGIN:
        return own_nets.build(card.built_as, codes)
    if card.origin == torchvision_models.ORIGIN:
        return torchvision_models.build(card.built_as, size)
    return _made_for(card, card.input.at(size).shape)


def _made_for(card: BackboneCard, shape: tuple[int, int]) -> Any:
    """A model of timm or transformers for images of this height and width."""
    if card.origin == transformers_models.ORIGIN:
        return transformers_models.build(card.built_as)
    return timm_models.build(card.built_as, shape=shape)


def _weights_path(card: BackboneCard, name: str, net: Any) -> Path:
    entry = card.weights_named(name)
    if card.lineage is not None:
        return saved.weights_file(card)
    if card.name in timm_models.PACKAGED:
        return weights.verify(timm_models.packaged_file(card.name), entry)
    if card.origin == torchvision_models.ORIGIN:
        return torchvision_models.weights_path(card.name, entry)
    if card.origin == transformers_models.ORIGIN:
        return transformers_models.weights_path(card.name)
    return timm_models.hub_file(net)


def _original_names(state: weights.StateDict, original: Mapping[str, torch.Tensor], backbone: Backbone) -> weights.StateDict:
    """Tensors of an exported or trained model of ours under their names in the original model; any others as they are."""
    names = {id(tensor): name for name, tensor in original.items()}
    ours = {name: names.get(id(tensor), "") for name, tensor in backbone.state_dict(keep_vars=True).items()}
    for prefix in ("backbone.", ""):
        if all(prefix + name in state for name, old in ours.items() if old):
            return {old: state[prefix + name] for name, old in ours.items() if old}
    return state


def _unused(original: Mapping[str, torch.Tensor], backbone: Backbone) -> set[str]:
    """Names in the original model whose tensors are not in the shared layers."""
    kept = {id(tensor) for tensor in backbone.state_dict(keep_vars=True).values()}
    return {name for name, tensor in original.items() if id(tensor) not in kept}


def make_card(name: str) -> BackboneCard:
    """The card of a model of timm, whose cut is proved now; raises BackboneError if it cannot be used."""
    try:
        net = random_net(name)
        family = TIMM_CUTS.get(type(net).__name__, timm_models.ORIGIN)
        entries, spec = timm_models.weights_card(net), timm_models.input_spec(net)
        fixed = net.pretrained_cfg.get("fixed_input_size") and not timm_models.takes_shape(timm_models.architecture(name))
        card = card_of(name, family, timm_models.ORIGIN, cut_anew(family, net, spec.shape), spec, entries)
        return replace(card, fixed_size=bool(fixed))
    except (InputError, MissingExtraError):
        raise
    except Exception as error:  # whatever a foreign model raises
        raise BackboneError(f"{name} cannot be used: it fails on an image of its own size ({_short(error)})") from error


def random_net(name: str) -> Any:
    """A model of timm with random values in every tensor."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return without_zeros(timm_models.build(name))


def cut_anew(family: str, net: Any, shape: tuple[int, int]) -> Backbone:
    """An original model with values in it, in the stages of its family, or in stages that are proved now."""
    if family in CUTS:
        return cut_by_hand(family, net)
    _take_off_classifier(net)
    return SplicedBackbone(net, prove(net, shape), shape)


def try_shape(card: BackboneCard, shape: tuple[int, int], codes: Iterable[Code] = ()) -> None:
    """Raise RecipeError if a model does not run on an image of this height and width."""
    try:
        if card.origin == own_nets.ORIGIN:
            _try_parts(cut(card, own_nets.build(card.built_as, codes), shape), shape)
        else:
            with_structure(lambda: _made_for(card, shape), lambda net: _try_parts(cut(card, net, shape), shape))
    except Exception as error:  # whatever a foreign model raises
        raise RecipeError(
            f"{card.name} fails on images of {shape[0]} × {shape[1]} px ({_short(error)}); leave image_size out, or use another"
        ) from error


def _try_parts(backbone: Backbone, shape: tuple[int, int]) -> None:
    """Run it as a whole, and in two parts wherever it is cut."""
    multiply_adds(backbone, shape)
    images = torch.zeros(2, 3, *shape, device=next(backbone.parameters()).device)
    with torch.no_grad():
        for boundary in range(1, len(backbone.stages) + 1):
            backbone.pool(backbone.run(backbone.run(images, 0, boundary), boundary))


def with_structure(build: Callable[[], Any], use: Callable[[Any], T]) -> T:
    """Use an original model without its values; with random ones if it cannot do without."""
    try:
        with structure_only():
            net = build()
        return use(net)
    except (InputError, MissingExtraError, AssertionError):
        raise
    except Exception:  # noqa: BLE001 - some constructors and layers read values; what is wrong otherwise fails again
        return use(build())


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
