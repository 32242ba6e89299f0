"""The facts in a checkpoint, and how to find the checkpoint to resume from."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nbtransfer.core import events as ev
from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.codec import from_plain
from nbtransfer.core.formats.numbers import CHECKPOINT
from nbtransfer.core.messages import Message, message
from nbtransfer.core.strategy import Strategy
from nbtransfer.engine.checkpoints import checkpoint
from nbtransfer.errors import CheckpointError, FormatError, InputError
from nbtransfer.store import checkpoints

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Facts:
    """What a run needs to continue, apart from tensors. Another set of fields is another format: see `core.formats`.

    base          sha256 of the weights it started from
    strategy      the phases at that time, which include the first `changes` changes
    progress      the numbers of `Progress`; `images` is that of its meter, None between epochs
    best          names of the checkpoints of the best epochs
    receipt       for each layer and stretch, whether it stayed unchanged while frozen
    watched       sha256 of the layers frozen in the current stretch, at its start; `stretch` is its name
    scaler        state of the gradient scaler
    layers        sha256 of the names of all layers, in order: the optimiser's tensors are numbered by them
    format        the format of these facts and of the tensors' names
    """

    base: str | None
    strategy: Strategy
    changes: int
    progress: dict[str, Any]
    images: int | None
    best: dict[str, str]
    stretches: tuple[str, ...]
    receipt: dict[str, dict[str, bool]]
    watched: dict[str, str]
    stretch: str
    scaler: dict[str, Any]
    layers: str | None = None
    format: int = CHECKPOINT


@dataclass(frozen=True)
class StoredCheckpoint:
    """A complete checkpoint."""

    name: str
    facts: Facts
    tensors: Tensors


def find_newest(parent: Path, base: str | None) -> Generator[ev.Event, None, StoredCheckpoint | None]:
    """The newest checkpoint that is complete, as are the best ones it names; None if there is none.

    Damaged ones are set aside with a warning. Raises FormatError if another version wrote it, which can still resume from
    it, and CheckpointError if the run started from other weights than `base`.
    """
    names = checkpoints.newest_first(parent)
    for name in names:
        try:
            stored = _read(parent, name)
            for other in set(stored.facts.best.values()) - {name}:
                _read(parent, other)
        except FormatError:
            raise
        except CheckpointError as error:
            checkpoints.set_aside(parent / name)
            alone = name == names[-1]
            yield ev.Warned(message("warn.checkpoint_alone" if alone else "warn.checkpoint", error=str(error)))
            continue
        checkpoint.check_base(stored.facts.base, base, "the run")
        return stored
    return None


def layers_digest(card: BackboneCard) -> str:
    """sha256 of the names of all layers, in order."""
    return hashlib.sha256("\n".join(layer.name for layer in card.layers).encode()).hexdigest()


def check_layers(stored: StoredCheckpoint, card: BackboneCard) -> None:
    """Raise FormatError if a checkpoint is of other layers: where models are spliced, a cut may change with its version."""
    older_cut = stored.facts.layers is None and card.is_spliced
    if older_cut or stored.facts.layers not in (None, layers_digest(card)):
        raise FormatError(message("fail.layers", name=stored.name, backbone=card.name))


def _read(parent: Path, name: str) -> StoredCheckpoint:
    if not checkpoints.is_name(name):  # it may come from a manipulated checkpoint: no paths
        raise CheckpointError(f"{name!r} is not the name of a checkpoint")
    tensors, facts = checkpoint.load(parent / name)
    checkpoints.require_known_format(name, facts)
    try:
        return StoredCheckpoint(name, from_plain(Facts, facts), tensors)
    except InputError as error:
        raise FormatError(message("fail.facts", name=name, error=str(error))) from error


def differences(then: ev.Prepared, now: ev.Prepared) -> tuple[Message, ...]:
    """Why results may differ in their last bits: changes of versions, device, precision or threads."""
    values = {
        "device": (then.device_name, now.device_name), "precision": (then.precision, now.precision),
        "threads": (str(then.threads), str(now.threads)),
        **{name: (then.versions.get(name, "none"), now.versions.get(name, "none")) for name in _version_names(then, now)},
    }  # fmt: skip
    return tuple(message("difference", name=name, now=new, then=old) for name, (old, new) in values.items() if old != new)


def _version_names(then: ev.Prepared, now: ev.Prepared) -> list[str]:
    return sorted({*then.versions, *now.versions})


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> Tensors:
    """The tensors of an optimiser's state, named by number of the parameter and key."""
    state: Mapping[int, Mapping[str, Any]] = optimiser.state_dict()["state"]
    return {
        f"optimiser.{number}.{key}": value
        for number, entries in state.items()
        for key, value in entries.items()
        if isinstance(value, torch.Tensor)
    }


def fill_optimiser(optimiser: torch.optim.Optimizer, tensors: Tensors) -> None:
    """The inverse of `optimiser_tensors`. State tensors get the memory layout of their parameters."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, Tensors] = {}
    for name, value in tensors.items():
        if not name.startswith("optimiser."):
            continue
        _, number, key = name.split(".", 2)
        parameter = parameters[int(number)]
        same = value.shape == parameter.shape and value.ndim > 0
        state.setdefault(int(number), {})[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value) if same else value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
