"""A source task is trained here, and its shared layers go on to other tasks."""

from __future__ import annotations

import pytest

import nbtransfer as nt
from nbtransfer.errors import BackboneError, CheckpointError, RecipeError
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


@pytest.mark.parametrize("fixed", [{"strategy": "ft"}, {"weights": "default"}])
def test_a_source_task_has_no_other_beginning(images, fixed):
    with pytest.raises(RecipeError, match=f"leave {next(iter(fixed))}= out"):
        nt.pretrain(nt.Task.from_folder(images), "resnet18", **fixed)


def test_scratch_is_with_random_weights(images):
    with pytest.raises(RecipeError, match="strategy 'scratch' begins with random weights; use weights=None"):
        nt.Recipe(task=nt.Task.from_folder(images), backbone="resnet18", strategy="scratch")
