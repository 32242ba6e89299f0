"""The graph, run by the code of the README without torch, gives the same logits."""

from __future__ import annotations

import importlib.util

import pytest
from torch import nn

from nbtransfer.engine.handoff.export import export
from nbtransfer.errors import InputError, MissingExtraError
from tests.support.exports import random_model, run_readme
from tests.support.families import SMALLEST, TIMM
from tests.support.folders import recipe

SIZES = {**SMALLEST, **TIMM}
SMALL = "timm/resnet10t"
WITHOUT = ("nbtransfer", "torch", "torchvision", "timm", "onnx", "onnxscript", "safetensors")
SAME = """
inputs = np.concatenate([preprocess(Image.open("example.png"))] * 3)
(logits,) = session.run(["logits"], {"input": inputs})
np.testing.assert_allclose(logits, [example["logits"]] * 3, rtol=1e-4, atol=1e-4)
"""


def written(model, folder):
    return export(model, recipe(backbone=model.card.name), (), folder, "onnx")


@pytest.mark.parametrize("name", [n if n == SMALL else pytest.param(n, marks=pytest.mark.slow) for n in SIZES])
def test_the_graph_gives_the_same_logits_for_any_number_of_images(name, tmp_path):
    folder = written(random_model(name, SIZES[name]), tmp_path / "model")
    assert run_readme(folder, SAME, without=WITHOUT).startswith("{'a': ")


def test_a_custom_head_is_part_of_the_graph(tmp_path):
    model = random_model(SMALL, 40)
    model.head = nn.Sequential(nn.Linear(512, 8), nn.GELU(), nn.Linear(8, 3)).eval()
    run_readme(written(model, tmp_path / "model"), SAME, without=WITHOUT)


class Unexportable(nn.Module):
    def forward(self, x):
        return x[:, :3] if x.sum() > 0 else x[:, 3:6]


def test_what_torch_cannot_export_is_refused_in_one_sentence(tmp_path, capfd):
    model = random_model(SMALL, 40)
    model.head = Unexportable()
    with pytest.raises(InputError, match=rf"^{SMALL} cannot be exported as 'onnx' \(.*\); export it as 'nb"):
        written(model, tmp_path / "model")
    assert capfd.readouterr().err == ""  # where torch writes pages
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named_before_anything_is_written(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "onnxscript" else find(name, *more))
    with pytest.raises(MissingExtraError, match=r"'onnx' needs an optional package: pip install 'nbtransfer\[onnx\]'"):
        written(random_model(SMALL, 40), tmp_path / "model")
    assert not list(tmp_path.iterdir())
