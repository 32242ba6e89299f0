"""The benchmarks can be run, and their arithmetic is right."""

from __future__ import annotations

import json
import math
import shutil

import pytest

import nbtransfer as nt
from benchmarks import goals, speed
from benchmarks.floor import Floor, Rates
from benchmarks.peers import ours, plain

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(images, tmp_path):
    """What `lay_out` makes of the textile task, of a few small pictures."""
    for split, numbers in (("train", range(3)), ("val", range(3, 5))):
        for kind in images.iterdir():
            target = tmp_path / "split" / split / kind.name
            target.mkdir(parents=True)
            for number in numbers:
                shutil.copy(kind / f"{number:02}.png", target)
    return tmp_path / "split"


def said(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("settings", [speed.HEAD, {**speed.TRAINED, "epochs": 2}], ids=["solved", "trained"])
def test_our_job(folder, capsys, settings):
    ours.main(str(folder), {"backbone": "shufflenet_v2_x0_5", "image_size": 40, "precision": "fp32", **settings})
    found = said(capsys)
    assert len(found["epoch_seconds"]) == found["epochs"] == (2 if "probe" in settings else 1)
    assert found["cache"] == nt.backbone("shufflenet_v2_x0_5").stages[-1]
    assert 0 < found["took"] < found["seconds"]
    assert found["predicted"] > 0


@pytest.mark.parametrize(
    ("backbone", "what"),
    [
        ("resnet18", "forward"), ("resnet18", "last_stage"), ("convnext_tiny", "last_stage"),
        (goals.VIT, "last_blocks"), (goals.VIT, "frozen"),
    ],
)  # fmt: skip
def test_the_plain_loop(folder, capsys, backbone, what):
    plain.main(str(folder), backbone, what, 1, "fp32")
    found = said(capsys)
    assert found["epochs"] == 1
    assert 0 <= found["accuracy"] <= 1


@pytest.mark.parametrize(
    ("backbone", "what", "learning"),
    [("resnet18", "last_stage", ["layer4"]), (goals.VIT, "last_blocks", list(speed.LAST_BLOCKS)), (goals.VIT, "frozen", [])],
)
def test_the_same_layers_learn_in_the_plain_loop_and_in_ours(backbone, what, learning):
    name = speed.VIT if backbone == goals.VIT else backbone
    card = nt.backbone(name)
    layers = nt.FreezePlan.all().thaw(*learning).resolve(card) if learning else {}
    ours = sum(layer.params for layer in card.layers if layer.name in layers and layers[layer.name].learns)
    net, frozen = plain.network(backbone, 3, what)
    head = 3 * (card.width + 1)
    assert sum(p.numel() for p in net.parameters() if p.requires_grad) == ours + head
    assert not [p for module in frozen for p in module.parameters() if p.requires_grad]


def test_every_figure_names_jobs_that_are_measured(tmp_path):
    jobs = set(speed.all_jobs(tmp_path, mixed=True))
    for ratio in goals.RATIOS:
        assert {ratio.ours, *ratio.theirs} <= jobs
    assert {*goals.MEMORY, *goals.MEMORY.values(), *goals.floors(Rates({"fp32": 1e9, "bf16": 1e9}, 1e9))} <= jobs
    exact = set(speed.all_jobs(tmp_path, mixed=False))
    assert exact == {job for job in jobs if not job.endswith(("auto", "autocast", "bf16"))}


def test_a_job_that_kept_nothing_is_no_measurement():
    goals.check("resnet18 last stage, fp32", {"cache": "layer3"})
    goals.check("resnet18 all, fp32", {"cache": None})
    goals.check("plain resnet18 last_stage, fp32", {})
    with pytest.raises(RuntimeError, match="nothing was kept"):
        goals.check("resnet18 last stage, fp32", {"cache": "no"})


def test_ratios_are_taken_within_a_round(monkeypatch):
    """The second round met a busy machine, the third a neighbour that left half way."""
    monkeypatch.setattr(goals, "against_floors", lambda _: {})

    def found(ours, theirs):
        return {
            "resnet18 head, solved, fp32": {
                "seconds": ours, "epochs": 1, "epoch_seconds": [ours], "took": 0.8 * ours, "predicted": ours,
            },
            "fastai resnet18 frozen": {"seconds": theirs, "epochs": 2},
            "plain resnet18 forward, fp32": {"seconds": 8, "epochs": 1},
            "resnet18 all, fp32": {"seconds": 99, "epochs": 2, "epoch_seconds": [20, 22]},
            "fastai resnet18 full": {"seconds": 63, "epochs": 2},
        }  # fmt: skip

    result = goals.figures([found(10, 40), found(20, 80), found(30, 30)])
    assert result["resnet18 head against fastai, fp32 (goal 15)"] == 10 * 20 / 10  # of medians it would be 10 * 20 / 20
    assert result["    resnet18 head against fastai, fp32: least"] == 10 * 15 / 30
    assert result["    resnet18 head against fastai, fp32: greatest"] == 10 * 40 / 20
    assert result["resnet18 all layers against fastai, fp32 (goal 1)"] == 31.5 / 21
    assert result["resnet18 head, whole job over one bare forward pass, fp32 (goal at most 1.25)"] == 20 / 8
    assert result["resnet18 head, solved, fp32: took, over what was predicted (goal 0.8 to 1.2)"] == pytest.approx(0.8)
    assert result["resnet18 head, solved, fp32 (s)"] == 20


@pytest.mark.parametrize("name", ["resnet18", pytest.param("efficientnet_lite0", marks=pytest.mark.slow)])
def test_floors_count_what_the_catalogue_counts(name):
    boundless = Floor(name, Rates({"fp32": 1e9, "bf16": 2e9}, math.inf))
    forward = boundless.forward(64, "fp32")
    assert forward == pytest.approx(64 * 2 * nt.backbone(name).multiply_adds / 1e9)
    assert boundless.forward(64, "bf16") == pytest.approx(forward / 2)
    # Forward, and backward to the inputs and to the weights of each layer; the first needs nothing for its inputs.
    assert 2.8 * forward < boundless.step(64, "fp32") < 3 * forward + 1e-3
    stage = nt.backbone(name).stages[-2]
    parts = boundless.forward(64, "fp32", end=stage), boundless.forward(64, "fp32", start=stage)
    assert sum(parts) == pytest.approx(forward)
    assert boundless.step(64, "fp32", frozen=stage) < 3 * parts[1] + 1e-3
    slow = Floor(name, Rates({"fp32": math.inf, "bf16": math.inf}, 1e9))
    assert slow.forward(64, "bf16") == pytest.approx(slow.forward(64, "fp32") / 2)
