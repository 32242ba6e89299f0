"""The command line, as a person or a script meets it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import nbtransfer as nt
from nbtransfer import doctor
from nbtransfer.cli import main
from nbtransfer.commands.tree import COMMANDS, parser
from nbtransfer.jobs import checks
from nbtransfer.jobs.environment import worker_environment

SMALL = [
    *("--backbone", "shufflenet_v2_x0_5", "--weights", "none", "--strategy", "ft"),
    *("--epochs", "2", "--batch-size", "8", "--image-size", "40", "--device", "cpu", "--precision", "fp32"),
]


def said(capsys, *words):
    code = main(words)
    out, err = capsys.readouterr()
    return code, out, err


def test_a_run_from_the_shell(capsys, images, tmp_path):
    code, out, err = said(
        capsys, "start", str(images), *SMALL, "--threads", "1", "--augment", "flip", "crop", "--wait", "--json"
    )
    assert code == 0, err
    facts = json.loads(out)
    assert (facts["status"], facts["epoch"], facts["epochs"]) == ("finished", 2, 2)
    lines = err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{facts['id']}: ft epoch 1/2 loss ")
    code, out, _ = said(capsys, "status")
    assert code == 0
    assert f"{facts['id']}: finished: accuracy" in out
    code, out, _ = said(capsys, "status", facts["id"][-6:], "--json")
    assert [row["epoch"] for row in json.loads(out)["history"]] == [1, 2]
    assert facts["id"] in said(capsys, "runs")[1]
    assert json.loads(said(capsys, "runs", "--json")[1])[0]["id"] == facts["id"]
    assert "has already ended: finished" in said(capsys, "stop")[1]
    assert said(capsys, "wait", "--timeout", "5")[0] == 0
    assert said(capsys, "log")[0] == 0
    image = str(images / "red" / "00.png")
    code, out, err = said(capsys, "explain", image, "--before", "start", "--json")
    assert code == 0, err
    assert len(json.loads(out)["examples"]) == 1
    code, out, _ = said(capsys, "predict", image)
    assert (code, out.splitlines()[0].split()[:3]) == (0, ["file", "answer", "probability"])
    code, out, _ = said(capsys, "export", str(tmp_path / "model"))
    assert (code, out.strip()) == (0, f"exported to {tmp_path / 'model'}")
    assert {p.name for p in (tmp_path / "model").iterdir()} == {
        "model.json",
        "model.safetensors",
        "sample.safetensors",
        "example.png",
        "README.md",
    }
    code, out, _ = said(capsys, "export", str(tmp_path / "other"), "--format", "state_dict")
    assert code == 0
    assert json.loads((tmp_path / "other" / "model.json").read_text())["exported_as"] == "state_dict"
    assert (
        "there is no export format 'onyx'; did you mean 'onnx'?"
        in said(capsys, "export", str(tmp_path / "third"), "--format", "onyx")[2]
    )


def test_a_failed_run_gives_status_one(capsys, images, monkeypatch):
    monkeypatch.setattr(checks, "_check_device", lambda recipe: None)  # the device is gone once the worker needs it
    code, out, _ = said(capsys, "start", str(images), *SMALL, "--device", "cuda:99", "--wait")
    assert code == 1
    assert "failed: device is 'cuda:99', but torch sees" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["start", "nowhere"], "nowhere is missing; give a folder with one folder per class"),
        (["start", "demo:textiles"], "there is no demo task 'textiles'"),
        (["stop"], "there are no runs in"),
        (["start", "demo:digits", "--per-class", "20"], "for folders of images only"),
        (
            ["demo", "--report", "/nowhere/report.html"],
            "the report cannot be written to /nowhere; give an existing, writable folder",
        ),
        (["status", "abc"], "there is no run 'abc'"),
        (["frobnicate"], "there is no command 'frobnicate'; choose one of"),
        (["strat"], "there is no command 'strat'; did you mean 'start'"),
        (["freeze", "layer1"], "'freeze' works in notebooks only, as %transfer freeze"),
        (["status", "a", "b"], "nbtransfer status does not expect 'b'"),
        (["start"], "nbtransfer start: give task; see nbtransfer start --help"),
        (["backbones", "resnet19", "--nonsense"], "backbones has no option '--nonsense'; choose one of help, max-params"),
    ],
)
def test_mistakes_are_one_line(capsys, words, message):
    code, out, err = said(capsys, *words)
    assert code in (1, 2)
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_freezing_from_the_shell(capsys, images):
    code, _, err = said(capsys, "start", str(images), *SMALL, "--freeze", "a", "--thaw", "b")
    assert (code, "give either --freeze or --thaw" in err) == (2, True)
    assert (
        "no layer of shufflenet_v2_x0_5 is called 'layer9'" in said(capsys, "start", str(images), *SMALL, "--thaw", "layer9")[2]
    )


def test_looking_at_backbones(capsys):
    code, out, _ = said(capsys, "backbones", "vgg")
    assert code == 0
    assert out.count("\nvgg") == 8
    assert "timm/vgg11.tv_in1k" in out
    assert "stages: stem (9,536), layer1 (147,968)" in said(capsys, "backbones", "resnet18")[1]
    assert json.loads(said(capsys, "backbones", "vgg", "--json")[1])[0]["name"] == "vgg11"
    assert "no backbone matches" in said(capsys, "backbones", "xyz")[1]


def test_backbones_within_limits(capsys):
    limits = ("--max-params", "6M", "--max-multiply-adds", "1,3G", "--max-size", "224")
    found = json.loads(said(capsys, "backbones", "vit", "tiny", *limits, "--json")[1])
    assert "timm/vit_tiny_patch16_224.augreg_in21k" in [row["name"] for row in found]
    assert all(row["params"] <= 6e6 and row["multiply_adds"] <= 1.3e9 and max(row["shape"]) <= 224 for row in found)
    code, _, err = said(capsys, "backbones", "--max-params", "few")
    assert (code, "few" in err, err.count("\n")) == (2, True, 1)
    assert "efficientnet_lite1" in said(capsys, "backbones", "--downloaded", "--licence", "APACHE")[1]


def test_help_on_every_level(capsys):
    for name in COMMANDS:
        code, out, _ = said(capsys, name, "--help")
        assert code == 0
        assert f"usage: nbtransfer {name}" in out
    code, out, _ = said(capsys, "--help")
    assert set(COMMANDS) <= set(out.split())


def test_the_version(capsys):
    assert said(capsys, "--version") == (0, f"nbtransfer {nt.__version__}\n", "")


def test_every_command_takes_json():
    for name in COMMANDS:
        takes_none = name not in (
            "start", "pretrain", "export", "predict", "rename", "delete", "save-backbone", "add-backbone", "delete-backbone",
        )  # fmt: skip
        words = [] if takes_none else ["x"]
        assert parser().parse_args([name, *words, "--json"]).json


def test_a_reader_that_leaves_early_is_no_error():
    command = f"{sys.executable} -m nbtransfer backbones | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=worker_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


class TestDoctor:
    def test_a_healthy_environment(self, capsys):
        code, out, _ = said(capsys, "doctor")
        assert code == 0
        assert "PROBLEM" not in out
        assert "torch 2." in out

    def test_a_home_one_may_not_write_to(self, capsys, tmp_path, monkeypatch):
        (tmp_path / "file").touch()
        monkeypatch.setenv("NBTRANSFER_HOME", str(tmp_path / "file" / "x"))
        monkeypatch.setattr(doctor, "_worker", lambda: "not looked at")
        code, out, _ = said(capsys, "doctor", "--json")
        assert code == 1
        assert [f["what"] for f in json.loads(out) if not f["ok"]] == ["runs are kept in", "locks"]
