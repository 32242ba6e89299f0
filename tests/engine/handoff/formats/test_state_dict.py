"""The original library's model, loaded by the code of the README, gives the same logits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import nn

from nbtransfer.engine.handoff.export import export
from nbtransfer.errors import InputError
from tests.support.exports import code_of, random_model, run_readme
from tests.support.families import SMALLEST, TIMM
from tests.support.folders import recipe

SIZES = {**SMALLEST, **TIMM, "timm/deit_tiny_distilled_patch16_224": 224}
ALWAYS = {"shufflenet_v2_x0_5", "efficientnet_lite0"}  # of each library one
SAME = """
logits = model(torch.from_numpy(preprocess(Image.open("example.png"))))[0]
torch.testing.assert_close(logits, torch.tensor(example["logits"]), rtol=1e-5, atol=1e-5)
"""


def written(model, folder):
    return export(model, recipe(backbone=model.card.name), (), folder, "state_dict")


@pytest.mark.parametrize("name", [n if n in ALWAYS else pytest.param(n, marks=pytest.mark.slow) for n in SIZES])
def test_the_original_gives_the_same_logits(name, tmp_path):
    folder = written(random_model(name, SIZES[name]), tmp_path / "model")
    assert run_readme(folder, SAME).startswith("{'a': ")


def test_the_code_shows_what_is_changed(tmp_path):
    code = code_of(written(random_model("squeezenet1_1", 64), tmp_path / "model"))
    assert "model = torchvision.models.squeezenet1_1(num_classes=3)\nmodel.classifier[2] = torch.nn.Identity()\n" in code


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head": nn.Sequential(nn.Linear(1024, 3))}, "the head of this run is custom code"),
        ({"card": "elsewhere"}, "shufflenet_v2_x0_5 is not an architecture of torchvision or timm"),
    ],
)
def test_what_has_no_place_in_the_original_is_refused(change, message, tmp_path):
    model = random_model("shufflenet_v2_x0_5", 40)
    model.head = change.get("head", model.head)
    model.card = replace(model.card, origin=change.get("card", model.card.origin))
    with pytest.raises(InputError, match=rf"{message}.*; export it as 'onnx' or 'nbtransfer'$"):
        written(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_another_pooling_than_in_the_original_is_noticed(tmp_path):
    model = random_model("shufflenet_v2_x0_5", 40)
    model.backbone.pool = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(1))
    with pytest.raises(
        InputError, match=r"would give logits that differ from this model's .*; export it as 'onnx' or 'nbtransfer'$"
    ):
        written(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())
