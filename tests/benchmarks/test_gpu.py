"""What is measured on a GPU can be rehearsed without one."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks.gpu import ceilings, tables
from benchmarks.gpu.__main__ import main
from benchmarks.gpu.scene import DRY, FULL, Scene, pictures
from benchmarks.gpu.steps import Finding, LeftOutError, Step, take

pytestmark = pytest.mark.slow

BACKBONE = DRY.backbones[0]


@pytest.fixture
def scene(tmp_path, home):
    return Scene(torch.device("cpu"), DRY, tmp_path)


def results(folder):
    return {row["name"]: row for row in json.loads((folder / "gpu.json").read_text(encoding="utf-8"))["results"]}


def test_without_a_gpu_it_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("There is no GPU here")
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_no_step_stops_the_others(scene, tmp_path, capsys):
    def breaks(_scene):
        raise RuntimeError("broken\nin two lines")

    def left_out(_scene):
        raise LeftOutError("not here")

    steps = [
        Step("good", 0, lambda _: Finding(good=True, text="as it should be", figures={"n": 1})),
        Step("bad", 0, lambda _: Finding(good=False, text="3 instead of 2")),
        Step("breaks", 0, breaks),
        Step("needs a GPU", 0, left_out),
        Step("long", 1e6, breaks),
    ]
    take(steps, scene, 60, tmp_path / "gpu.json", {"device": "none"})
    rows = results(tmp_path)
    assert [row["outcome"] for row in rows.values()] == ["ok", "FAILED", "FAILED", "left out", "left out"]
    assert rows["good"]["figures"] == {"n": 1}
    assert rows["breaks"]["text"] == "RuntimeError: broken"
    assert "in breaks" in rows["breaks"]["figures"]["traceback"]
    assert "FAILED" in capsys.readouterr().out


def test_results_are_on_the_disk_after_each_step(scene, tmp_path):
    def looks(_scene):
        return Finding(good=True, text=", ".join(results(tmp_path)))

    steps = [Step(name, 0, looks) for name in ("first", "second")]
    take([Step("none yet", 0, lambda _: Finding(good=True, text="")), *steps], scene, 60, tmp_path / "gpu.json", {})
    assert results(tmp_path)["second"]["text"] == "none yet, first"


def test_a_rehearsal_of_some_steps(tmp_path):
    words = ["rates of", "frozen", f"rate: {BACKBONE}, last stage, fp32"]
    assert main(["--dry", "--out", str(tmp_path), "--only", *words]) == 0
    rows = results(tmp_path)
    assert {row["outcome"] for row in rows.values()} == {"ok"}
    assert len(rows) == len(words)
    text = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert f"| {BACKBONE}, last stage and head | fp32 |" in text


@pytest.mark.slow
def test_a_rehearsal_of_everything(tmp_path):
    assert main(["--dry", "--out", str(tmp_path), "--seconds", "1500"]) == 0
    rows = results(tmp_path)
    assert {row["outcome"] for row in rows.values()} <= {"ok", "left out"}
    assert rows["a killed worker goes on"]["figures"]["bitwise"]
    assert rows["a batch that does not fit"]["figures"]["warned"]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if number else name for number, name in enumerate(FULL.backbones)]
)
def test_operations_are_those_of_the_catalogue(name):
    import nbtransfer as nt

    card = nt.backbone(name)
    whole = ceilings.forward(name, 224)
    assert sum(whole.values()) == pytest.approx(2 * card.multiply_adds)
    middle = len(card.stages) - 2
    parts = ceilings.forward(name, 224, 0, middle), ceilings.forward(name, 224, middle)
    assert ceilings.plus(*parts) == pytest.approx(whole)


def test_pictures_differ():
    pixels, labels = pictures(6, 32)
    assert pixels.shape == (6, 32, 32, 3)
    assert len({image.tobytes() for image in pixels}) == 6
    assert sorted(labels) == [0, 0, 1, 1, 2, 2]


def test_tables_of_what_was_cut_off():
    rate = {
        "backbone": "resnet50", "what": "all", "variant": "", "precision": "bf16", "batch": 128, "images/s": 2500.0,
        "share": 0.081, "seconds": 9.0, "plain images/s": 2400.0, "over plain": 1.04,
    }  # fmt: skip
    rows = [
        {"name": "rate: resnet50, all, bf16", "outcome": "ok", "text": "fast", "figures": rate},
        {"name": "fastai: resnet50, all, bf16", "outcome": "left out", "text": "fastai is not installed", "figures": {}},
        {"name": "frozen layers unchanged", "outcome": "FAILED", "text": "a | b", "figures": {}},
    ]
    text = tables.markdown({"device": "a GPU", "torch": "2.11", "date": "today", "commit": "abc", "results": rows})
    assert "| resnet50, all layers | bf16 | 128 | 2,500 | 8% | 9.0 | 2,400 | 1.04 × | not installed |" in text
    assert "| frozen layers unchanged | FAILED | a / b |" in text
