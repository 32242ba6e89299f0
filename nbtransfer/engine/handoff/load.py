"""Exported models come back: weights, code and preprocessing, after they have answered their example."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from nbtransfer.core.backbone import InputSpec
from nbtransfer.core.calls import checked
from nbtransfer.core.code import Code
from nbtransfer.core.codec import from_plain
from nbtransfer.core.formats.numbers import EXPORT, refusal
from nbtransfer.core.task import Reading
from nbtransfer.engine.handoff.example import TOLERANCE, logits_of
from nbtransfer.engine.handoff.export import FACTS
from nbtransfer.engine.handoff.formats import DEFAULT
from nbtransfer.engine.handoff.formats.nbtransfer import CODE, SAMPLE, WEIGHTS
from nbtransfer.engine.model.custom_head import make_head
from nbtransfer.engine.model.expected_input import check_input
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.errors import CheckpointError, CodeError, InputError
from nbtransfer.pretrained import cards, registry
from nbtransfer.pretrained.weights import file_digest
from nbtransfer.usercode import trusted


@checked()
def load_model(folder: str | os.PathLike[str], *, trust: bool = False) -> TransferModel:
    """A model exported as "nbtransfer" in evaluation mode, after its logits for the example agree with those at export.

    `model(model.preprocess(images))` gives logits (N, classes). A call with anything but preprocessed images raises InputError.

    trust   whether the code of its custom head may run here from now on

    Raises CheckpointError if a file is missing or altered, if the logits differ by more than 0.001, or if the export has
    another format; CodeError if its code is not trusted.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise CheckpointError(f"{path} {what}; give the folder that run.export wrote")
    try:
        facts: dict[str, Any] = json.loads((path / FACTS).read_text(encoding="utf-8"))
        _check_format(path, facts)
        if file_digest(path / WEIGHTS) != facts["sha256"]:
            raise CheckpointError(
                f"{path / WEIGHTS} is damaged (its sha256 is not the one it was exported with); copy it or export it again"
            )
        model, sample = _rebuild_model(path, facts, trust), load_file(path / SAMPLE)
        difference = (logits_of(model, sample["pixels"]) - sample["logits"]).abs().max().item()
    except CodeError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, InputError) as error:
        raise CheckpointError(f"{path} is not an exported model that can be used here ({error})") from error
    if not difference <= TOLERANCE:
        raise CheckpointError(
            f"{path} answers its own example differently here, by {difference:.2g}; compare the versions in {FACTS} with yours"
        )
    return check_input(model)


def _check_format(path: Path, facts: dict[str, Any]) -> None:
    if why := refusal(facts["format"], EXPORT):
        raise CheckpointError(f"{path} {why}")
    if (kind := facts.get("exported_as", DEFAULT)) != DEFAULT:
        raise CheckpointError(
            f"{path} was exported as {kind!r}, for use without nbtransfer; follow its README.md, or export it as {DEFAULT!r}"
        )


def _rebuild_model(path: Path, facts: dict[str, Any], trust: bool) -> TransferModel:
    codes = [_read_code(path, name, sha256) for name, sha256 in facts.get("code") or ()]
    if trust:
        trusted.trust(codes)
    card, spec = cards.card(facts["backbone"], codes), from_plain(InputSpec, facts["input"])
    classes, head = tuple(facts["classes"]), None
    if facts.get("head") is not None:
        head = make_head(facts["head"], codes, card.width, len(classes), seed=0)
    model = TransferModel(registry.build(card, None, size=spec.size, codes=codes).module, card, spec, classes, head)
    model.reading = from_plain(Reading, facts.get("reading", {}))
    model.load_state_dict(load_file(path / WEIGHTS))
    return model.eval().requires_grad_(False)


def _read_code(path: Path, name: str, sha256: str) -> Code:
    safe = Code(name, "").name  # validated before it becomes part of a path
    return Code(safe, (path / CODE / f"{safe}.py").read_text(encoding="utf-8"), sha256)
