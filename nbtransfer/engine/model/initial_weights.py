"""The weights of a finished run as the beginning of another: the shared layers, and the head where the classes are the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from nbtransfer.pretrained.weights import file_digest
from nbtransfer.store import atomic, kept_weights

if TYPE_CHECKING:
    from nbtransfer.core.lineage import Lineage
    from nbtransfer.engine.model.transfer_model import TransferModel

CLASSES, HEAD = "classes", "head."


def keep(model: TransferModel, made: Lineage, licence: str) -> Path:
    """Write all parameters and buffers to the home folder, and how they were made; the file's name is its digest."""
    folder = kept_weights.folder()
    draft = atomic.temporary_beside(folder / "run.safetensors")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    try:
        save_file(tensors, draft, {CLASSES: json.dumps(model.classes), **kept_weights.facts(made, licence)})
        target = folder / f"{file_digest(draft)}.safetensors"
        atomic.publish(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def read_head(path: Path, classes: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """The tensors of the head in a file that `keep` wrote for the same classes; none for any other file."""
    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            if json.loads((file.metadata() or {}).get(CLASSES, "null")) != list(classes):
                return {}
            return {name.removeprefix(HEAD): file.get_tensor(name) for name in file.keys() if name.startswith(HEAD)}  # noqa: SIM118
    except (OSError, ValueError, SafetensorError):
        return {}
