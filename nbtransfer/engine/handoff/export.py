"""Exported models: weights, everything needed to use them, and a sample with its logits.

    model.safetensors   all parameters and buffers
    model.json          backbone, classes, preprocessing, and where the model comes from
    sample.safetensors  one image of the task as the model sees it, and the model's logits
    code/NAME.py        the code of a custom head
    README.md           a summary for people

In format 1, `input` has neither `crop_mode` nor `width`: the centre of every image is a square. That is what they default to.

Loading computes the logits of the sample again and compares them, which detects a broken environment.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from nbtransfer.core.backbone import InputSpec
from nbtransfer.core.calls import checked
from nbtransfer.core.code import Code, parts
from nbtransfer.core.codec import dumps, from_plain, to_plain
from nbtransfer.core.evaluation import Evaluation
from nbtransfer.core.formats.numbers import EXPORT, refusal
from nbtransfer.core.recipe import Recipe
from nbtransfer.engine.data.preprocess import Normalise, resize_and_crop
from nbtransfer.engine.model.custom_head import make_head
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.engine.versions import installed_versions
from nbtransfer.errors import CheckpointError, CodeError, InputError
from nbtransfer.pretrained import registry
from nbtransfer.pretrained.weights import file_digest
from nbtransfer.store import atomic
from nbtransfer.tasks.decode import UndecodableError
from nbtransfer.tasks.source import ImageSource
from nbtransfer.usercode import trusted

WEIGHTS, FACTS, SAMPLE, CODE = "model.safetensors", "model.json", "sample.safetensors", "code"
TOLERANCE = 1e-3
"""Largest difference of logits between machines: other kernels sum in another order."""


def export(model: TransferModel, recipe: Recipe, scores: tuple[Evaluation, ...], folder: str | os.PathLike[str]) -> Path:
    """Write the model to a new folder; raises InputError if the folder exists and is not empty."""
    target = Path(folder).expanduser().absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} exists already; give a new folder")
    draft = atomic.temporary_beside(target)
    try:
        draft.mkdir(parents=True)
        _write(draft, model, recipe, scores)
        if target.exists():
            target.rmdir()
        atomic.publish(draft, target)
    except OSError as error:
        raise InputError(f"the model cannot be written to {target} ({error.strerror}); give another folder") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _write(folder: Path, model: TransferModel, recipe: Recipe, scores: tuple[Evaluation, ...]) -> None:
    for code in _code_of_head(recipe):
        (folder / CODE).mkdir(exist_ok=True)
        (folder / CODE / f"{code.name}.py").write_text(code.source, encoding="utf-8", newline="")
    save_file({name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}, folder / WEIGHTS)
    pixels = _sample_pixels(recipe, model.spec)
    save_file({"pixels": pixels, "logits": _logits(model, pixels)}, folder / SAMPLE)
    facts = _facts(model, recipe, scores, file_digest(folder / WEIGHTS))
    atomic.write_text(folder / FACTS, dumps(facts, indent=1))
    atomic.write_text(folder / "README.md", _readme(model, recipe, scores))


def _sample_pixels(recipe: Recipe, spec: InputSpec) -> torch.Tensor:
    """The first validation image that can still be decoded, preprocessed."""
    source = ImageSource(recipe.task)
    for sample in recipe.task.split("val"):
        try:
            return resize_and_crop(source.image(sample), spec)
        except UndecodableError:
            continue
    raise InputError(
        f"no validation image of {recipe.task.name} can still be decoded; restore one, because the export needs a sample"
    )


def _code_of_head(recipe: Recipe) -> list[Code]:
    return [code for code in recipe.code if recipe.head is not None and code.name == parts(recipe.head)[0]]


@checked(name="load_model")
def load(folder: str | os.PathLike[str], *, trust: bool = False) -> TransferModel:
    """An exported model in evaluation mode, after its logits for the sample agree with those at export.

    trust   whether the code of its custom head may run here from now on

    Raises CheckpointError if a file is missing or altered, or if the logits differ by more than 0.001; CodeError if its code
    is not trusted.
    """
    path = Path(folder).expanduser()
    try:
        facts: dict[str, Any] = json.loads((path / FACTS).read_text(encoding="utf-8"))
        if why := refusal(facts["format"], EXPORT):
            raise CheckpointError(f"{path} {why}")
        if file_digest(path / WEIGHTS) != facts["sha256"]:
            raise CheckpointError(f"{path / WEIGHTS} is damaged: its sha256 is not the one it was exported with")
        model, sample = _rebuild_model(path, facts, trust), load_file(path / SAMPLE)
        difference = (_logits(model, sample["pixels"]) - sample["logits"]).abs().max().item()
    except CodeError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, InputError) as error:
        raise CheckpointError(f"{path} is not an exported model that can be used here ({error})") from error
    if not difference <= TOLERANCE:
        raise CheckpointError(
            f"{path} answers its own sample differently here, by {difference:.2g}; compare the versions in {FACTS} with yours"
        )
    return model


def _rebuild_model(path: Path, facts: dict[str, Any], trust: bool) -> TransferModel:
    card, spec = registry.card(facts["backbone"]), from_plain(InputSpec, facts["input"])
    classes, head = tuple(facts["classes"]), None
    if facts.get("head") is not None:
        codes = [_read_code(path, name, sha256) for name, sha256 in facts["code"]]
        if trust:
            trusted.trust(codes)
        head = make_head(facts["head"], codes, card.width, len(classes), seed=0)
    model = TransferModel(registry.build(card, None, size=spec.size).module, card, spec, classes, head)
    model.load_state_dict(load_file(path / WEIGHTS))
    return model.eval().requires_grad_(False)


def _read_code(path: Path, name: str, sha256: str) -> Code:
    safe = Code(name, "").name  # validated before it becomes part of a path
    return Code(safe, (path / CODE / f"{safe}.py").read_text(encoding="utf-8"), sha256)


@torch.no_grad()
def _logits(model: TransferModel, pixels: torch.Tensor) -> torch.Tensor:
    device = next(model.parameters()).device
    return model(Normalise(model.spec, device)(pixels[None]))[0].cpu()  # type: ignore[no-any-return]


def _facts(model: TransferModel, recipe: Recipe, scores: tuple[Evaluation, ...], digest: str) -> dict[str, Any]:
    return {
        "format": EXPORT,
        "sha256": digest,
        "backbone": model.card.name,
        "classes": model.classes,
        "head": recipe.head,
        "code": [(code.name, code.sha256) for code in _code_of_head(recipe)],
        "input": to_plain(model.spec),
        "task": recipe.task.name,
        "strategy": recipe.strategy_name,
        "seed": recipe.seed,
        "evaluations": to_plain(scores),
        "versions": installed_versions(),
    }


def _readme(model: TransferModel, recipe: Recipe, scores: tuple[Evaluation, ...]) -> str:
    lines = [
        f"# {recipe.task.name}",
        "",
        f"Image classifier: `{model.card.name}` with the strategy `{recipe.strategy_name}`.",
        f"Classes: {', '.join(model.classes)}.",
        f"Input: RGB, {model.spec.preparation}.",
        "",
        *(f"Accuracy on {s.examples} {s.split} images: {s.accuracy:.3f} (95 % {s.interval.low:.3f}–{s.interval.high:.3f})."
          for s in scores),
        "",
        f"Shared layers: {model.card.origin}, licence of their weights: {model.card.licence}.",
        "",
        "    import nbtransfer as nt",
        f'    model = nt.load_model("this folder"{", trust=True" if recipe.head else ""})',
        '    nt.predict(model, "an image.jpg")',
        "",
    ]  # fmt: skip
    return "\n".join(lines)
