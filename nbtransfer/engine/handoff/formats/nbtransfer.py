"""For `nbtransfer.load_model`: any model, with everything that is needed to use it here.

    model.safetensors   all parameters and buffers, under their names here
    sample.safetensors  the pixels of the example, and the model's logits
    code/NAME.py        the code of a custom head, or of shared layers of one's own

Loading computes the logits again and compares them, which detects a broken environment.
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from nbtransfer.core.code import parts
from nbtransfer.core.recipe import OWN_NET, Recipe
from nbtransfer.engine.handoff.example import FILE, StoredExample
from nbtransfer.engine.handoff.formats import WrittenModel
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.pretrained.weights import file_digest

WEIGHTS, SAMPLE, CODE = "model.safetensors", "sample.safetensors", "code"


def check(model: TransferModel, recipe: Recipe) -> None:
    """Nothing stands against it."""


def write(folder: Path, model: TransferModel, recipe: Recipe, example: StoredExample) -> WrittenModel:
    """Write weights, sample and code."""
    codes = [code for code in recipe.code if code.name in _modules_of(model, recipe)]
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


def _modules_of(model: TransferModel, recipe: Recipe) -> set[str]:
    """The modules of custom code that make the model's layers."""
    head = [] if recipe.head is None else [recipe.head]
    own = [model.card.built_as.removeprefix(OWN_NET)] if model.card.built_as.startswith(OWN_NET) else []
    return {parts(reference)[0] for reference in (*head, *own)}


def _usage(*, trust: bool) -> str:
    return f"""\
import nbtransfer as nt

model = nt.load_model("."{", trust=True" if trust else ""})  # first answers the stored example
print(nt.predict(model, "{FILE}"))

logits = model(model.preprocess(["{FILE}"]))  # the same in two steps
"""
