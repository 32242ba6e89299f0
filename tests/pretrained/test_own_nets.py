"""Shared layers of one's own, written in a cell."""

from __future__ import annotations

import shutil

import pytest

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.errors import BackboneError, CodeError, RecipeError
from nbtransfer.pretrained import saved
from nbtransfer.usercode.module import find_code
from tests.support.runs import PATIENCE
from tests.support.training import of, trained

NETS = """
import torch
from torch import nn


class Net(nn.Module):
    image_size = 40
    mean = std = (0.5, 0.5, 0.5)

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU()) for _ in range(4))

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x.mean((2, 3))


class Wide(Net):
    image_size = "wide"


class Stated(Net):
    stages = ("stem", "blocks.1")


class Misstated(Net):
    stages = ("stem", "block.1")


class FarStated(Net):
    stages = "blocks.1"


class Residual(Net):
    stages = ("stem", "blocks.1")

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return x.mean((2, 3))


class Grey(Net):
    mean = 0.5


class Frozen(Net):
    def __init__(self):
        super().__init__()
        self.stem.requires_grad_(False)


class Twice(Net):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([self.stem])


class Needy(Net):
    def __init__(self, width):
        super().__init__()


class Tuple(Net):
    def forward(self, x):
        return super().forward(x), x


class Dict(Net):
    def forward(self, x):
        return {"features": super().forward(x)}


class Map(Net):
    def forward(self, x):
        return self.stem(x)


class HalfUnused(Net):
    def forward(self, x):
        return self.blocks[1](self.blocks[0](self.stem(x))).mean((2, 3))


class Detached(Net):
    def forward(self, x):
        return super().forward(x).detach()


class Branching(Net):
    def forward(self, x):
        found = super().forward(x)
        return found if x.mean() > 0 else 2 * found


class Failing(Net):
    def forward(self, x):
        return super().forward(x[:, :2])


class Empty(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def function():
    return 7
"""
SETTINGS = {"weights": None, "batch_size": 8, "device": "cpu", "precision": "fp32", "threads": 1, "epochs": 1}


@pytest.fixture(autouse=True)
def nets(home):
    nt.code("nets", NETS)


@pytest.fixture
def task(images):
    return nt.Task.from_folder(images, holdout=0.25)


def test_it_is_cut_like_any_other():
    card = nt.backbone("code/nets.Net")
    assert card.stages == card.ends == ("stem", "blocks.0", "blocks.1", "blocks.2", "blocks.3")
    assert (card.width, card.input.size, card.input.mean) == (16, 40, (0.5, 0.5, 0.5))
    assert nt.backbone("code/nets.Stated").ends == ("stem", "blocks.1")
    assert nt.backbone("code/nets.Branching").stages == ("body",)
    assert nt.backbone("code/nets.Frozen").ends == card.ends


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Nothing", "has no function or class 'Nothing'; choose one of Net"),
        ("Wide", "the input that code/nets.Wide states cannot be used"),
        ("Misstated", r"has no module 'block\.1', which its attribute stages names"),
        ("FarStated", r"stages of nets\.FarStated is 'blocks\.1'; state names of its modules"),
        ("Residual", r"cannot be cut after 'blocks\.1'.*what follows depends on more than what that module returns"),
        ("Grey", r"mean of code/nets\.Grey is 0\.5; state three numbers"),
        ("Twice", r"has layers\.0\.0\.bias under another name as well"),
        ("Needy", r"is called without arguments \(.*'width'\); give each argument of it a default"),
        ("Tuple", r"turns images \(2, 3, 40, 40\) into a tuple; let it return features \(2, width\)"),
        ("Dict", "into a dict"),
        ("Map", r"into \(2, 16, 20, 20\); let it return .* such as x\.mean\(\(2, 3\)\)"),
        ("HalfUnused", r"4 parameters of nets\.HalfUnused take no part in its features: blocks\.2\.0\.weight"),
        ("Detached", "gives features without gradients"),
        ("Failing", r"nets\.Failing failed: .*expected input.* to have 3 channels"),
        ("Empty", "has no parameters, so nothing in it can learn"),
        ("function", r"nets\.function makes int; let it make a torch\.nn\.Module"),
    ],
)
def test_what_cannot_be_used_is_refused_before_a_worker_starts(task, name, why):
    with pytest.raises((CodeError, BackboneError), match=why):
        nt.start(nt.Recipe(task=task, backbone=f"code/nets.{name}", **SETTINGS))
    assert not nt.runs()


def test_a_size_it_cannot_take_is_refused(task):
    nt.code("odd", NETS.replace("x = self.stem(x)", "assert x.shape[-1] == 40; x = self.stem(x)"))
    recipe = nt.Recipe(task=task, backbone="code/odd.Net", strategy="ft", image_size=20, **SETTINGS)
    with pytest.raises(RecipeError, match="fails on images of 20 × 20 px"):
        nt.start(recipe)


def test_another_text_is_another_card_and_another_cache(task):
    recipe = nt.Recipe(task=task, backbone="code/nets.Net", strategy="lp", cache="on", probe="sgd", **SETTINGS)
    card = nt.backbone("code/nets.Net")
    _ = trained(nt.Recipe(**{**vars(recipe), "code": [find_code("nets.Net")]}))
    nt.code("nets", NETS.replace("return x.mean((2, 3))", "return x.amax((2, 3))"))
    assert nt.backbone("code/nets.Net") == card
    events = trained(nt.Recipe(**{**vars(recipe), "code": [find_code("nets.Net")]}))[2]
    reason = next(event.reason for event in of(events, ev.Decided) if event.subject == "cache")
    assert "computed before" not in reason


def test_from_a_cell_to_a_saved_backbone(task, tmp_path, monkeypatch):
    """A worker builds it from the text; saved shared layers take the text with them."""
    run = nt.start(
        nt.Recipe(task=task, backbone="code/nets.Net", strategy="ft", freeze=nt.FreezePlan().freeze("stem"), **SETTINGS)
    )
    assert run.wait(PATIENCE).status == "finished", run.log()
    assert set(run.receipt()) == {"stem.0", "stem.1"}
    assert nt.load_model(run.export(tmp_path / "exported")).card.name == "code/nets.Net"
    run.save_backbone("own")
    nt.add_backbone(shutil.copytree(saved.folder_of("own"), tmp_path / "given"))
    nt.code("nets", NETS + "\ndef changed(image): return image")
    with pytest.raises(CodeError, match="comes with another version of the code 'nets'; write yours in a cell of another name"):
        nt.start(nt.Recipe(task=task, backbone="mine/own", transform="nets.changed", **{**SETTINGS, "weights": "default"}))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "somebody else"))
    with pytest.raises(CodeError, match=r"add_backbone\(folder, trust=True\)"):
        nt.start(nt.Recipe(task=task, backbone="mine/given", strategy="lp", **{**SETTINGS, "weights": "default"}))
    nt.add_backbone(tmp_path / "given", "again", trust=True)
    again = nt.start(nt.Recipe(task=task, backbone="mine/own", strategy="lp", **{**SETTINGS, "weights": "default"}))
    assert again.wait(PATIENCE).status == "finished", again.log()
    assert nt.load_model(again.export(tmp_path / "again")).card.name == "code/nets.Net"
    file = saved.folder_of("own") / "code" / "nets.py"
    file.write_text(file.read_text() + "\nx = 2")
    with pytest.raises(CodeError, match="was changed after they were saved"):
        nt.start(nt.Recipe(task=task, backbone="mine/own", strategy="lp", **{**SETTINGS, "weights": "default"}))
