"""Exports as others use them: the code of the README, where nothing else of ours can be imported."""

from __future__ import annotations

import re
import subprocess
import sys

import torch
from torch import nn

from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.pretrained import cards, registry
from tests.support.runs import PATIENCE


def random_model(name, size, classes=("a", "b", "c")):
    """A model with random values everywhere: what starts as zeros or ones would hide what is in the wrong place."""
    card = cards.card(name)
    model = TransferModel(registry.build(card, None, size=size).module, card, card.input.at(size), classes)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.5, 1)
    for buffer_name, buffer in model.named_buffers():
        if buffer_name.endswith(("running_mean", "running_var")):
            nn.init.uniform_(buffer, 0.5, 1)
    nn.init.normal_(model.head.weight, std=0.1)
    return model.eval().requires_grad_(False)


def code_of(folder):
    """The one block of Python in the README of an export."""
    (block,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    return block


def run_readme(folder, *then, without=("nbtransfer",)):
    """Run the code of an export, and more lines after it, in its folder, where some packages cannot be imported; the output."""
    hidden = f"import sys\nfor name in {without!r}:\n    sys.modules[name] = None\n"
    code = "\n".join([hidden, code_of(folder), *then])
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
