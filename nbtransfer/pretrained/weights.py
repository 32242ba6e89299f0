"""Find, verify and read pretrained weights. Nothing read here can execute code."""

from __future__ import annotations

import hashlib
import pickle
import urllib.error
import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from nbtransfer.core.backbone import WeightsCard
from nbtransfer.core.text.names import short_list
from nbtransfer.errors import WeightsError

StateDict = Mapping[str, torch.Tensor]


def file_digest(path: Path) -> str:
    """sha256 of a file as hexadecimal text."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verify(path: Path, card: WeightsCard) -> Path:
    """`path` if its sha256 begins as the card says; raises WeightsError otherwise."""
    found = file_digest(path)
    if not found.startswith(card.digest):
        raise WeightsError(
            f"{path} is not {card.file} as published: its sha256 begins {found[:8]}, not {card.digest[:8]}; "
            "delete it and try again"
        )
    return path


def fetch(card: WeightsCard, folder: Path, download: Callable[[Path], None]) -> Path:
    """The verified file of `card` in `folder`, downloaded if missing. Raises WeightsError that names the file."""
    target = folder / card.file
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            download(target)
        except (OSError, RuntimeError, urllib.error.URLError) as error:
            target.unlink(missing_ok=True)
            raise WeightsError(
                f"{card.file} could not be downloaded ({error}); fetch it on a machine with network and put it into {folder}"
            ) from error
    return verify(target, card)


def read(path: Path) -> StateDict:
    """The tensors in a .safetensors, .pt or .pth file; raises WeightsError if it contains anything else."""
    if not path.is_file():
        raise WeightsError(f"there is no weights file {path}; give the path of a .safetensors, .pt or .pth file")
    try:
        data = load_file(path) if path.suffix == ".safetensors" else _unpickle(path)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        # PyTorch's own text advises to run whatever code the file holds.
        code = "global" in str(error).lower() or "Can only" in str(error)
        what = "holds more than tensors" if "Unsupported operand" in str(error) else "no weights file"
        reason = "it holds objects of Python, not only tensors" if code else f"it is damaged, or {what}"
        raise WeightsError(
            f"{path} cannot be read as plain weights ({reason}); "
            "save it as safetensors, or with torch.save(model.state_dict(), …)"
        ) from error
    state = data.get("state_dict", data.get("model", data)) if isinstance(data, dict) else data
    if not isinstance(state, dict) or not all(isinstance(t, torch.Tensor) and not t.is_sparse for t in state.values()):
        raise WeightsError(f"{path} contains no state dict of dense tensors; save it with torch.save(model.state_dict(), …)")
    return state


def _unpickle(path: Path) -> object:
    with warnings.catch_warnings():
        # Warnings about the pickle protocol do not matter: only tensors are accepted.
        warnings.simplefilter("ignore", UserWarning)
        return torch.load(path, map_location="cpu", weights_only=True)


def fill(net: nn.Module, state: StateDict, path: Path, unused: Collection[str]) -> None:
    """Copy weights into a model, all or nothing.

    `unused` are the names in the original model that the shared layers do not need (its classifier): these may be missing
    or have another shape.
    """
    wanted = {name: tensor for name, tensor in net.state_dict().items() if name not in unused}
    given = renamed(state, wanted)
    given = {name: tensor for name, tensor in given.items() if name not in unused}
    # Older files lack the counters of batch normalisation, which do not affect the weights.
    missing = [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")]
    extra = [name for name in given if name not in wanted]
    shapes = [
        f"{name} is {tuple(given[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    ]
    problems = [("missing", missing), ("unexpected", extra), ("of another shape", shapes)]
    found = "; ".join(f"{len(names)} {what}: {short_list(names, most=3)}" for what, names in problems if names)
    if found:
        raise WeightsError(f"{path} does not fit this backbone ({found}); {_advice(wanted, given, missing, extra, shapes)}")
    net.load_state_dict(given, strict=False)


def renamed(state: StateDict, wanted: Collection[str]) -> dict[str, torch.Tensor]:
    """The tensors under their names in the bare model, without what wrappers put before them.

    A wrapper is `module.` of a parallel model, `_orig_mod.` of a compiled one, or whatever else stands before every tensor
    that is wanted, such as `model.` or `backbone.`; then the rest (a head, say) belongs to the wrapper.
    """
    plain = {name.removeprefix("module.").removeprefix("_orig_mod."): tensor for name, tensor in state.items()}
    first = next((name for name in wanted if not name.endswith("num_batches_tracked")), "")
    prefixes = sorted({name.removesuffix(first) for name in plain if first and name.endswith(f".{first}")}, key=len)
    for prefix in prefixes:
        inside = {name.removeprefix(prefix): tensor for name, tensor in plain.items() if name.startswith(prefix)}
        if all(name in inside or name.endswith("num_batches_tracked") for name in wanted):
            return inside
    return plain


def _advice(
    wanted: StateDict, given: StateDict, missing: Collection[str], extra: Collection[str], shapes: Collection[str]
) -> str:
    """What to do about weights that do not fit, by what is most likely the cause."""
    if sorted(tuple(t.shape) for t in wanted.values() if t.ndim > 1) == sorted(
        tuple(t.shape) for t in given.values() if t.ndim > 1
    ):
        return "its tensors have the right shapes but other names; save the state_dict() of the model itself"
    if missing and not extra and not shapes and len(missing) < len(wanted):
        return "it is incomplete; save the whole state_dict()"
    return "it was saved from another architecture; name the backbone it was saved from, or give another file"
