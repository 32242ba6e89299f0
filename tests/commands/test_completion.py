"""What is offered after a tab, as text and in a real kernel."""

from __future__ import annotations

from dataclasses import replace

import pytest

import nbtransfer as nt
from nbtransfer.commands import tree as commands
from nbtransfer.commands.completion import in_recipe, on_line
from nbtransfer.commands.parsing import CommandContext
from nbtransfer.core import catalog
from nbtransfer.jobs.draft import Draft
from tests.support.runs import PATIENCE, recipe


@pytest.fixture
def context():
    return CommandContext("%transfer", "notebook", Draft(), lambda run, timeout: run.state, print, {})


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("%transfer st", ["start", "status", "stop"]),
        ("run = %transfer sta", ["start", "status"]),
        ("transfer ba", ["backbones", "backbone"]),
        ("%transfer help wa", ["wait"]),
        ("%transfer start --st", ["--strategy"]),
        ("%transfer start --strategy l", ["lp", "last_stage", "lp_ft"]),
        ("%transfer start --epochs 3 --strategy f", ["ft"]),
        ("%transfer start --wait --opt", ["--optimiser"]),
        ("%transfer start --augment flip c", ["crop", "colour"]),
        ("%transfer start --epochs ", []),
        ("%transfer backbone resnext50", ["resnext50_32x4d"]),
        ("%transfer freeze stem layer", ["layer1", "layer2", "layer3", "layer4"]),
        ("%transfer thaw layer4 --lr 0.1 --", ["--help", "--lr"]),
        ("%transfer data demo:t", ["demo:textile"]),
        ("%transfer pr", ["pretrain", "predict"]),
        ("%transfer predict x.png --", ["--help", "--run", "--csv"]),
        ("%transfer nonsense x", []),
        ("x = 3 # %transfer st", []),
        ("print('%transfer st", []),
    ],
)
def test_lines(context, line, found):
    assert [c for c in on_line(line, context) if "." not in c] == found


def test_everything_is_offered_at_first(context):
    assert on_line("%transfer ", context) == list(commands.tree("notebook"))
    assert set(on_line("%transfer backbone ", context)) == {*catalog.names(), "timm/"}
    assert "timm/vit_small_patch14_dinov2.lvd142m" in on_line("%transfer backbone timm/vit_small_patch14", context)


def test_layers_are_those_of_the_backbone_chosen(context):
    context.draft.choose(backbone="vgg11")
    assert on_line("%transfer thaw block1", context)[0] == "block1"
    assert all(name.startswith("block1") for name in on_line("%transfer thaw block1", context))


def test_folders_and_files(context, images, monkeypatch):
    monkeypatch.chdir(images.parent)
    (images.parent / "with blank").mkdir()
    assert "images/" in on_line("%transfer data ", context)
    assert on_line("%transfer data images/b", context) == ["images/blue/"]
    assert "images/red/03.png" in on_line("%transfer explain images/red/0", context)
    assert on_line("%transfer data w", context) == []
    assert on_line("%transfer predict images/b", context) == ["images/blue/"]
    assert on_line("%transfer predict images/ images/red/03", context) == ["images/red/03.png"]


def test_runs_by_id_and_by_variable(context, images):
    run = nt.start(recipe(images, epochs=1))
    named = replace(context, names={"mine": run, "other": 3, "_": run})
    assert on_line("%transfer status ", named) == ["mine", run.id]
    assert on_line("%transfer export folder m", named) == ["mine"]
    assert on_line("%transfer export folder --format s", named) == ["state_dict"]
    assert on_line("%transfer predict x.png --run m", named) == ["mine"]
    run.stop()
    run.wait(PATIENCE)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ba", ["backbone: ", "batch_size: "]),
        ("epochs: 3\nstr", ["strategy: "]),
        ("strategy: l", ["lp", "last_stage", "lp_ft"]),
        ("augment: [flip, cr", ["crop"]),
        ("freeze: {up_to: layer", ["layer1", "layer2", "layer3", "layer4"]),
        ("task: demo:te", ["demo:textile"]),
        ("epochs: ", []),
    ],
)
def test_recipes(context, text, found):
    assert in_recipe(text, context) == found


def test_a_real_kernel(kernel, images):
    manager, client = kernel
    said = []

    def run(code):
        said.clear()
        return client.execute_interactive(code, timeout=60, output_hook=said.append, allow_stdin=False)["content"]

    def offered(code):
        content = client.complete(code, len(code), reply=True, timeout=60)["content"]
        return [code[: content["cursor_start"]] + match for match in content["matches"]]

    assert run("%load_ext nbtransfer")["status"] == "ok"
    assert [m["msg_type"] for m in said if m["msg_type"] != "status"] == ["execute_input"]
    for start in ("%transfer", "run = %transfer", "x = 1\n%transfer"):
        assert offered(f"{start} stat") == [f"{start} status"]
        assert offered(f"{start} data demo:t") == [f"{start} data demo:textile"]
        assert offered(f"{start} freeze layer4.1.bn") == [f"{start} freeze layer4.1.bn1", f"{start} freeze layer4.1.bn2"]
    assert offered("%%transfer --wa") == ["%%transfer --wait"]
    assert offered("%%transfer -o run\nstrategy: l") == [
        f"%%transfer -o run\nstrategy: {n}" for n in ("lp", "last_stage", "lp_ft")
    ]
    assert offered("%%transfer -o run\nepo") == ["%%transfer -o run\nepochs: "]
    assert offered("import o")  # others complete as before
    started = nt.start(recipe(images, epochs=5000))
    interrupted(manager, client)
    assert not started.state.ended
    assert run("run = %transfer attach\n%transfer stop run")["status"] == "ok"
    assert started.wait(PATIENCE).status == "stopped"


def interrupted(manager, client):
    """An interrupt ends the watching, not the run."""
    asked = client.execute("%transfer wait", allow_stdin=False, stop_on_error=False)
    while client.get_iopub_msg(timeout=60)["msg_type"] != "stream":
        pass
    manager.interrupt_kernel()
    reply = client.get_shell_msg(timeout=60)
    assert reply["parent_header"]["msg_id"] == asked
    assert (reply["content"]["status"], reply["content"]["ename"]) == ("error", "UsageError")
    assert reply["content"]["evalue"] == "interrupted; runs continue in the background (stop one with %transfer stop)"
