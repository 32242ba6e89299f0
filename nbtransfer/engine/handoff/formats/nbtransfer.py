"""For `nbtransfer.load_model`: any model, with everything that is needed to use it here.

    model.safetensors   all parameters and buffers, under their names here
    sample.safetensors  the pixels of the example, and the model's logits
    code/NAME.py        the code of a custom head

Loading computes the logits again and compares them, which detects a broken environment.
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from nbtransfer.core.code import Code, parts
from nbtransfer.core.recipe import Recipe
from nbtransfer.engine.handoff.example import FILE, StoredExample
from nbtransfer.engine.handoff.formats import WrittenModel
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.pretrained.weights import file_digest

WEIGHTS, SAMPLE, CODE = "model.safetensors", "sample.safetensors", "code"


def check(model: TransferModel, recipe: Recipe) -> None:
    """Nothing stands against it."""


def write(folder: Path, model: TransferModel, recipe: Recipe, example: StoredExample) -> WrittenModel:
    """Write weights, sample and code."""
    codes = _code_of_head(recipe)
    for code in codes:
        (folder / CODE).mkdir(exist_ok=True)
        (folder / CODE / f"{code.name}.py").write_text(code.source, encoding="utf-8", newline="")
    save_file({name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}, folder / WEIGHTS)
    save_file({"pixels": example.pixels, "logits": example.logits}, folder / SAMPLE)
    facts = {
        "sha256": file_digest(folder / WEIGHTS),
        "head": recipe.head,
        "code": [(code.name, code.sha256) for code in codes],
    }
    return WrittenModel(facts, ("nbtransfer",), _usage(trust=bool(codes)))


def _code_of_head(recipe: Recipe) -> list[Code]:
    return [code for code in recipe.code if recipe.head is not None and code.name == parts(recipe.head)[0]]


def _usage(*, trust: bool) -> str:
    return f"""\
import nbtransfer as nt

model = nt.load_model("."{", trust=True" if trust else ""})  # first answers the stored example
print(nt.predict(model, "{FILE}"))

logits = model(model.preprocess(["{FILE}"]))  # the same in two steps
"""
