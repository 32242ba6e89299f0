"""A source task is trained here, and its shared layers go on to other tasks."""

from __future__ import annotations

import pytest

import nbtransfer as nt
from nbtransfer.commands import starting
from nbtransfer.commands import tree as commands
from nbtransfer.errors import BackboneError, CheckpointError, RecipeError
from nbtransfer.jobs.draft import Draft
from nbtransfer.ui.progress import watch
from tests.support.runs import PATIENCE

SMALL = {"image_size": 40, "batch_size": 8, "device": "cpu", "precision": "fp32", "threads": 1}


def ended(run):
    assert run.wait(PATIENCE).status == "finished", run.log()
    return run


def test_from_a_source_task_to_a_chain_of_transfers(images, tmp_path):
    """Pretrained, saved, used, saved again, exported; then the first ones are deleted."""
    task = nt.Task.from_folder(images, holdout=0.25)
    source = ended(nt.pretrain(task, "shufflenet_v2_x0_5", epochs=2, **SMALL))
    assert source.recipe.strategy == "scratch"
    assert source.state.prepared.weights is None
    first = source.save_backbone("first")
    target = ended(
        nt.start(nt.Recipe(task=task, backbone="mine/first", strategy="lp", epochs=1, **{**SMALL, "image_size": None}))
    )
    assert target.recipe.input_for(first).size == 40
    assert target.state.prepared.weights == first.weights[0].digest
    assert all(entry.startswith("unchanged, checked") for entry in target.receipt().values())
    second = target.save_backbone("second")
    assert second.architecture == "shufflenet_v2_x0_5"
    assert [one.run for one in second.lineage.generations] == [target.id, source.id]
    assert second.lineage.parent_digest == first.weights[0].digest
    loaded = nt.load_model(target.export(tmp_path / "exported"))
    assert loaded.card.name == "shufflenet_v2_x0_5"
    assert (tmp_path / "exported" / "README.md").read_text().count("random weights") == 1
    longer = ended(target.continue_(epochs=1)).save_backbone("third")
    assert [one.run for one in longer.lineage.generations][1:] == [target.id, source.id]
    assert str(longer.lineage).count("←") == 3
    nt.delete_backbone("third")
    nt.delete_backbone("first")
    assert "finished" in repr(target)
    assert target.evaluate().examples
    with pytest.raises(BackboneError, match=r"no saved shared layers 'mine/first'.* were deleted; choose one of mine/second"):
        target.model()
    source.save_backbone("first")
    target.model()
    nt.delete_backbone("first")
    ended(nt.start(nt.Recipe(task=task, backbone="mine/second", strategy="ft", epochs=1, **SMALL))).save_backbone("first")
    with pytest.raises(CheckpointError, match="started from other weights"):
        target.model()
    with pytest.raises(BackboneError, match="mine/first holds other weights than run"):
        nt.repeat(target)
    with pytest.raises(RecipeError, match="those of mine/first would not be used"):
        nt.pretrain(task, "mine/first")


@pytest.mark.parametrize("fixed", [{"strategy": "ft"}, {"weights": "default"}, {"freeze": nt.FreezePlan.all()}])
def test_a_source_task_has_no_other_beginning(images, fixed):
    with pytest.raises(RecipeError, match=f"leave {next(iter(fixed))}= out"):
        nt.pretrain(nt.Task.from_folder(images), "resnet18", **fixed)


def test_scratch_is_with_random_weights(images):
    with pytest.raises(RecipeError, match="strategy 'scratch' begins with random weights; use weights=None"):
        nt.Recipe(task=nt.Task.from_folder(images), backbone="resnet18", strategy="scratch")


def test_a_plan_made_by_hand_is_not_one_of_a_source_task(images, monkeypatch):
    started = []
    monkeypatch.setattr(starting, "launch", lambda recipe, *_, **__: started.append(recipe))
    context = commands.CommandContext("%transfer", "notebook", Draft(), watch, print)
    for words in (f"data {images} --holdout 0.25", "freeze layer1", "pretrain", "pretrain --epochs 3"):
        commands.execute(words.split(), context)
    assert [(recipe.freeze, recipe.weights, recipe.epochs) for recipe in started] == [(None, None, 20), (None, None, 3)]


def test_scratch_comes_and_goes_with_random_weights():
    draft = Draft()
    draft.choose(strategy="scratch")
    assert draft.choices.settings["weights"] is None
    draft.choose(strategy="ft")
    assert draft.choices.settings["weights"] == "default"
