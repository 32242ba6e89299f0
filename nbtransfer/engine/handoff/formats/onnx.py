"""For ONNX Runtime and what else reads ONNX, without Python or torch if need be: any model that torch can export.

    model.onnx   float32 (N, 3, H, W) named "input" to float32 (N, classes) named "logits"; N is free

It is run and compared before anybody else has to.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import torch

from nbtransfer.core.recipe import Recipe
from nbtransfer.engine.data.preprocess import Normalise
from nbtransfer.engine.handoff.example import TOLERANCE, StoredExample
from nbtransfer.engine.handoff.formats import WrittenModel
from nbtransfer.engine.handoff.python_code import CHECK, preprocessing_code
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.errors import InputError, MissingExtraError

MODEL = "model.onnx"
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
LARGEST = 1_500_000_000
"""Bytes of weights that fit into one file: protobuf ends at 2 GiB. Those of larger models lie beside it."""


def check(model: TransferModel, recipe: Recipe) -> None:
    """Raise MissingExtraError without the packages."""
    if any(importlib.util.find_spec(name) is None for name in PACKAGES):
        raise MissingExtraError("the export format 'onnx'", "onnx")


def write(folder: Path, model: TransferModel, recipe: Recipe, example: StoredExample) -> WrittenModel:
    """Write the graph."""
    inputs = Normalise(model.spec, torch.device("cpu"))(torch.stack([example.pixels, example.pixels.flip(2)]))
    inputs = inputs.contiguous()
    try:
        _save_graph(folder / MODEL, model, inputs)
    except OSError:
        raise  # of the disk, not of the model
    except Exception as error:  # whatever torch raises for a module that it cannot export
        cause = error.__cause__ or error  # torch wraps it in advice on its exporter
        reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        raise InputError(f"{model.card.name} cannot be exported as 'onnx' ({reason}); export it as 'nbtransfer'") from error
    _compare(folder / MODEL, model, inputs)
    return WrittenModel({}, ("onnxruntime", "pillow", "numpy"), _usage(model))


def _save_graph(path: Path, model: TransferModel, inputs: torch.Tensor) -> None:
    size = sum(tensor.nbytes for tensor in model.state_dict().values())
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            model, (inputs,), input_names=["input"], output_names=["logits"], dynamic_shapes=({0: torch.export.Dim("N")},),
            dynamo=True, verbose=False,
        )  # fmt: skip
        assert program is not None
        program.save(path, external_data=size > LARGEST)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without pages about the inside of torch's exporter."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@torch.no_grad()
def _compare(path: Path, model: TransferModel, inputs: torch.Tensor) -> None:
    session = importlib.import_module("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (inputs, inputs[:1]):
        (logits,) = session.run(["logits"], {"input": batch.numpy()})
        difference = (torch.from_numpy(logits) - model(batch)).abs().max().item()
        if not difference <= TOLERANCE:
            raise InputError(
                f"{model.card.name} gives different logits as 'onnx', by up to {difference:.2g}; export it as 'nbtransfer' or "
                "'state_dict'"
            )


def _usage(model: TransferModel) -> str:
    return f'''\
import json
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

{preprocessing_code(model.spec, model.reading.white_level)}
session = onnxruntime.InferenceSession("{MODEL}", providers=["CPUExecutionProvider"])


def classify(image):
    """The probability of each class, for a PIL image."""
    (logits,) = session.run(["logits"], {{"input": preprocess(image)}})
    odds = np.exp(logits[0] - logits[0].max())
    return dict(zip(facts["classes"], (odds / odds.sum()).tolist()))

{CHECK}'''
