"""An exported model comes back, unless it would answer otherwise here."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nbtransfer.core.task import Reading
from nbtransfer.engine.handoff.export import export
from nbtransfer.engine.handoff.load import load_model
from nbtransfer.errors import CheckpointError, InputError
from nbtransfer.pretrained import registry
from tests.support.exports import random_model
from tests.support.folders import recipe


@pytest.fixture
def model():
    return random_model("shufflenet_v2_x0_5", 40)


@pytest.fixture
def folder(model, tmp_path):
    return export(model, recipe(backbone=model.card.name), (), tmp_path / "model")


def test_a_model_comes_back_and_says_what_it_expects(model, folder):
    again = load_model(folder)
    x = again.preprocess(folder / "example.png")
    assert torch.equal(again(x), model(x))
    assert again.classes == model.classes
    with pytest.raises(InputError, match=r"the model expects float32 \(N, 3, 40, 40\)"):
        again(x[0])


def test_wide_greys_are_read_as_those_of_its_task(model, tmp_path):
    model.reading = Reading(white_level=4095)
    folder = export(model, recipe(backbone=model.card.name), (), tmp_path / "twelve", caveats=("few images",))
    narrow = np.random.default_rng(0).integers(0, 256, (50, 60))
    wide = Image.fromarray((narrow * 4095 / 255).round().astype(np.uint16))
    wide.save(tmp_path / "x.png")
    again = load_model(folder)
    expected = model.preprocess(narrow.astype(np.uint8))
    for given in (wide, tmp_path / "x.png", np.asarray(wide)):
        assert torch.equal(again.preprocess(given), expected)
    text = (folder / "README.md").read_text()
    assert "in 16-bit greys, 4,095 is white" in text
    assert "- few images" in text


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (None, "Shared layers: torchvision, trained from random weights."),
        ("w.pt", "Shared layers: torchvision, trained from weights in a file, whose licence applies."),
        ("kept", "Shared layers: torchvision, continued from an earlier run, and the licence of its weights applies."),
        ("default", "Shared layers: torchvision, licence of their weights: BSD-3-Clause."),
    ],
)
def test_only_published_weights_have_a_licence(model, tmp_path, home, weights, said):
    if weights == "kept":
        weights = str(home / "weights" / "0.safetensors")
    made = replace(recipe(backbone=model.card.name), weights=weights)
    assert said in (export(model, made, (), tmp_path / "model") / "README.md").read_text()


def test_the_example_is_the_question_in_all_its_forms(model, folder):
    example = json.loads((folder / "model.json").read_text())["example"]
    logits = model(model.preprocess(folder / example["image"]))[0]
    torch.testing.assert_close(torch.tensor(example["logits"]), logits)
    torch.testing.assert_close(torch.tensor(example["probabilities"]), logits.softmax(0))


def coarser(module):
    """Weights with the eight bits of bfloat16, as some settings of some devices use them."""
    for parameter in module.parameters():
        parameter.data = parameter.data.bfloat16().float()


def other_padding(module):
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d) and layer.padding != (0, 0):
            layer.padding_mode = "circular"


def other_activation(module):
    for name, layer in list(module.named_modules()):
        if isinstance(layer, nn.ReLU):
            module.set_submodule(name, nn.GELU())


@pytest.mark.parametrize("change", [coarser, other_padding, other_activation])
def test_an_environment_that_computes_otherwise_is_noticed(change, folder, monkeypatch):
    build = registry.build

    def otherwise(*args, **settings):
        built = build(*args, **settings)
        built.module.register_load_state_dict_post_hook(lambda module, _: change(module))
        return built

    monkeypatch.setattr(registry, "build", otherwise)
    with pytest.raises(CheckpointError, match=r"answers its own example differently here, by \d.*; compare the versions"):
        load_model(folder)


def test_an_export_of_before_there_were_formats_is_read(folder):
    facts = json.loads((folder / "model.json").read_text())
    del facts["exported_as"], facts["example"]
    (folder / "model.json").write_text(json.dumps(facts))
    (folder / "example.png").unlink()
    assert load_model(folder).classes == ("a", "b", "c")
