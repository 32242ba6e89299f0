"""For torchvision and timm: the weights under their names there, with a head that they can load.

    model.safetensors   the state dict

It is loaded into the original architecture and compared before anybody else has to.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from nbtransfer.core.recipe import Recipe
from nbtransfer.engine.data.preprocess import Normalise
from nbtransfer.engine.handoff.example import TOLERANCE, StoredExample
from nbtransfer.engine.handoff.formats import WrittenModel
from nbtransfer.engine.handoff.python_code import CHECK, preprocessing_code
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.errors import BackboneError, InputError
from nbtransfer.pretrained.originals import Original, original, original_state
from nbtransfer.pretrained.weights import file_digest

WEIGHTS = "model.safetensors"
OTHERS = "export it as 'onnx' or 'nbtransfer'"


def check(model: TransferModel, recipe: Recipe) -> None:
    """Raise InputError unless the original architecture has a place for everything."""
    if not isinstance(model.head, nn.Linear):
        raise InputError(f"the head of this run is custom code ({recipe.head}), which no state dict can hold; {OTHERS}")
    _original(model)


def write(folder: Path, model: TransferModel, recipe: Recipe, example: StoredExample) -> WrittenModel:
    """Write the state dict."""
    of = _original(model)
    net = of.build()
    try:
        state = original_state(model.card, model.spec.size, model.backbone.state_dict(), model.linear_head, net)
        of.load(net, state)
    except (BackboneError, RuntimeError) as error:
        raise InputError(f"{model.card.name} does not fit its original in {of.library} ({error}); {OTHERS}") from error
    _compare(net, of, model, example)
    save_file({name: tensor.cpu().contiguous() for name, tensor in state.items()}, folder / WEIGHTS)
    facts = {"sha256": file_digest(folder / WEIGHTS), "library": of.library}
    return WrittenModel(facts, ("torch", of.library, "safetensors", "pillow", "numpy"), _usage(of, model))


def _original(model: TransferModel) -> Original:
    try:
        return original(model.card, model.spec.size, len(model.classes))
    except BackboneError as error:
        raise InputError(f"{error}, so there are no names for a state dict; {OTHERS}") from error


@torch.no_grad()
def _compare(net: nn.Module, of: Original, model: TransferModel, example: StoredExample) -> None:
    logits = net(Normalise(model.spec, torch.device("cpu"))(example.pixels[None]))[0]
    difference = (logits - example.logits).abs().max().item()
    if not difference <= TOLERANCE:
        raise InputError(
            f"{model.card.name} of {of.library} would give logits that differ from this model's by up to {difference:.2g}, "
            f"because layers before its head were replaced; {OTHERS}"
        )


def _usage(of: Original, model: TransferModel) -> str:
    build = "\n".join([*of.code(), *of.loading_code(WEIGHTS)])
    ordered = "from collections import OrderedDict\n" if of.version is not None else ""
    return f'''\
import json
{ordered}from pathlib import Path

import numpy as np
import torch
import {of.library}
from PIL import Image, ImageOps
from safetensors.torch import load_file

{preprocessing_code(model.spec, model.reading.white_level)}
{build}
model.eval()


@torch.no_grad()
def classify(image):
    """The probability of each class, for a PIL image."""
    probabilities = model(torch.from_numpy(preprocess(image))).softmax(1)[0]
    return dict(zip(facts["classes"], probabilities.tolist()))

{CHECK}'''
