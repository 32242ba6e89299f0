"""Recipes carried out in this process: the events, the weights, the files."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import pytest
import torch

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.strategy import Phase, Strategy
from nbtransfer.engine import checkpointer
from nbtransfer.engine.checkpoints import checkpoint, result
from nbtransfer.errors import PlanError, RecipeError, RunError, TaskError
from nbtransfer.store import runs
from tests.support.commands import stop_after
from tests.support.sessions import new_session
from tests.support.stories import KilledAfter, Killer, Story
from tests.support.training import of, told, weights


def test_a_run_tells_its_story(recipe, paths):
    events = told(recipe, paths)
    kinds = [type(event).__name__ for event in events if not isinstance(event, (ev.Step, ev.CheckpointSaved))]
    assert kinds == [
        "Prepared", "Warned", "PhaseStarted", "EpochEnded", "EpochEnded", "PhaseEnded", "ReceiptIssued", "Evaluated",
        "Finished",
    ]  # fmt: skip
    prepared = events[0]
    assert (prepared.device, prepared.precision, prepared.threads) == ("cpu", "fp32", 1)
    assert (prepared.train, prepared.val, prepared.test) == (27, 9, 0)
    assert prepared.phases[0].trainable == prepared.total
    assert of(events, ev.Step)[-1].of == 4
    assert {"torch", "nbtransfer"} <= set(prepared.versions)


def test_it_learns(recipe, paths):
    recipe = replace(recipe, epochs=15, lr=3e-3)
    events = told(recipe, paths)
    assert events[-2].evaluation.accuracy > 0.8
    answers = nt.predict(result.load(paths, recipe), [recipe.task.image(s) for s in recipe.task.samples])
    right = [a.label == recipe.task.classes[s.label] for a, s in zip(answers, recipe.task.samples, strict=True)]
    assert sum(right) / len(right) > 0.8


def test_the_same_recipe_gives_the_same_bits(recipe):
    recipe = replace(recipe, augment=("flip", "crop", "colour"))
    first, second = runs.create(recipe), runs.create(recipe)
    told(recipe, first)
    told(recipe, second)
    assert weights(first, recipe) == weights(second, recipe)
    other = replace(recipe, seed=1)
    third = runs.create(other)
    told(other, third)
    assert weights(third, other) != weights(first, recipe)


@pytest.mark.usefixtures("helpers")
def test_helpers_that_load_images_change_nothing(recipe):
    found = []
    for workers in (0, 2):
        with_workers = replace(recipe, loader_workers=workers, augment=("flip", "crop"), epochs=1)
        paths = runs.create(with_workers)
        told(with_workers, paths)
        found.append(weights(paths, with_workers))
    assert found[0] == found[1]


def test_frozen_layers_get_a_receipt(recipe, paths):
    recipe = replace(recipe, freeze=FreezePlan.up_to("shufflenet_v2_x0_5", "stage3"))
    events = told(recipe, paths)
    receipt = of(events, ev.ReceiptIssued)[0]
    assert receipt.frozen == receipt.unchanged > 20
    lines = json.loads((paths.result / "receipt.json").read_text())
    assert set(lines.values()) == {"unchanged, checked"}
    assert {name.split(".")[0] for name in lines} == {"stem", "stage2", "stage3"}


def test_a_receipt_tells_when_a_frozen_layer_changed(recipe, paths):
    recipe = replace(recipe, strategy="lp_ft", epochs=2)
    session = new_session(recipe, paths)
    for event in session.run_phase(0):
        if isinstance(event, ev.EpochEnded):  # something meddles with one statistic of one frozen layer
            session.context.model.backbone.get_submodule("stage2.0.branch1.1").running_mean[0] += 1e-7
    list(session.run_phase(1))
    assert of(list(session.judge_result()), ev.ReceiptIssued)[0].changed == ("stage2.0.branch1.1",)
    lines = json.loads((paths.result / "receipt.json").read_text())
    assert lines.pop("stage2.0.branch1.1") == "CHANGED during lp"
    assert set(lines.values()) == {"unchanged during lp, checked"}


def test_only_what_learned_is_written_again(images, tmp_path):
    """Frozen layers are named by the digest of the file they came from."""
    from nbtransfer.pretrained import registry, torchvision_models

    file = tmp_path / "own.pth"
    net = torchvision_models.build("shufflenet_v2_x0_5", 40)
    torch.save(net.state_dict(), file)
    recipe = nt.Recipe(
        task=nt.Task.from_folder(images), backbone="shufflenet_v2_x0_5", weights=str(file), strategy="lp", epochs=1,
        image_size=40, device="cpu", threads=1,
    )  # fmt: skip
    paths = runs.create(recipe)
    told(recipe, paths)
    tensors, facts = checkpoint.load(paths.result / "model")
    assert set(tensors) == {"head.weight", "head.bias"}
    assert facts["base"] == registry.weights.file_digest(file)
    assert result.load(paths, recipe).backbone.stem.conv1[0].weight.equal(net.conv1[0].weight)
    torch.save({k: v + 1 for k, v in net.state_dict().items()}, file)
    with pytest.raises(nt.NbTransferError, match="started from other weights"):
        result.load(paths, recipe)


def test_the_best_epoch_is_kept_not_the_last(recipe, paths):
    recipe = replace(recipe, epochs=5, lr=0.05, checkpoint_every=100)
    events = told(recipe, paths)
    epochs = of(events, ev.EpochEnded)
    best = max(epochs, key=lambda e: (e.val_correct, -e.val_loss))
    assert of(events, ev.Finished)[0].best_epoch == best.epoch
    assert [e.epoch for e in epochs if e.best][-1] == best.epoch
    assert of(events, ev.Evaluated)[0].evaluation.correct == best.val_correct
    kept = sorted(p.name for p in paths.checkpoints.iterdir())
    assert {f"step-{best.step:08d}", f"step-{epochs[-1].step:08d}"} <= set(kept)
    assert len(kept) <= 4


def test_short_epochs_write_no_checkpoints_and_the_best_is_kept_all_the_same(recipe, monkeypatch):
    recipe = replace(recipe, epochs=5, lr=0.05)
    every = Story(replace(recipe, checkpoint_every=100))
    assert every.attempt()
    monkeypatch.setattr(checkpointer, "SHARE", 0.0)
    none = Story(recipe)
    assert none.attempt()
    assert list(none.paths.checkpoints.iterdir()) == []
    assert none.outcome() == every.outcome()
    monkeypatch.setattr(checkpointer, "SHARE", 1.0)
    killed = Story(recipe)
    assert not killed.attempt(Killer(16))
    assert killed.attempt()
    assert killed.outcome() == every.outcome()


def test_a_checkpoint_holds_the_best_epoch_before_it(recipe, monkeypatch):
    monkeypatch.setattr(checkpointer, "SHARE", 0.0)
    story = Story(replace(recipe, epochs=6, lr=0.05))
    assert not story.attempt(KilledAfter("checkpoint", (19, "checkpoint", {})))
    best, (name,) = story.state.best, [path.name for path in story.paths.checkpoints.iterdir()]
    tensors, facts = checkpoint.load(story.paths.checkpoints / name)
    assert facts["best"][str(best.epoch)] == name
    assert any(key.startswith(f"best.{best.epoch}.head.") for key in tensors)
    assert story.attempt()
    whole = Story(story.recipe)
    assert whole.attempt()
    assert story.outcome() == whole.outcome()


def test_phases_follow_each_other_and_leave_snapshots(recipe, paths):
    recipe = replace(recipe, strategy="lp_ft", epochs=3)
    events = told(recipe, paths)
    assert [(e.phase, e.epoch) for e in of(events, ev.EpochEnded)] == [("lp", 1), ("ft", 2), ("ft", 3)]
    assert [p.name for p in sorted(paths.snapshots.iterdir())] == ["0-lp", "1-ft"]
    before = result.load(paths, recipe, paths.snapshots / "0-lp")
    after = result.load(paths, recipe, paths.snapshots / "1-ft")
    assert not before.backbone.stem.conv1[0].weight.equal(after.backbone.stem.conv1[0].weight)


def test_a_strategy_of_ones_own(recipe, paths):
    phases = (
        Phase("head", FreezePlan.all(), 1, lr=0.01),
        Phase("norms", FreezePlan.all().norm("affine_only"), 1, schedule="cosine"),
        Phase("top", FreezePlan.all().thaw("conv5", lr=0.1).norm("frozen"), 1, schedule="constant"),
    )
    events = told(replace(recipe, strategy=Strategy("mine", phases)), paths)
    assert [p.trainable for p in events[0].phases] == sorted(p.trainable for p in events[0].phases)
    assert isinstance(events[-1], ev.Finished)
    assert runs.read_recipe(runs.create(replace(recipe, strategy=Strategy("mine", phases)))).strategy.phases == phases


def test_patience_ends_a_phase(recipe):
    # A rate this small changes no prediction, so no epoch is better than the first.
    events = told(replace(recipe, strategy="lp", epochs=12, patience=2, lr=1e-30))
    ended = of(events, ev.PhaseEnded)[0]
    assert (ended.reason, ended.best_epoch) == ("patience", 1)
    assert len(of(events, ev.EpochEnded)) == 3
    assert isinstance(events[-1], ev.Finished)


def test_small_batches_get_a_warning_where_statistics_are_updated(recipe):
    assert "normalisation statistics of 8 images are noisy" in of(told(recipe), ev.Warned)[0].message
    frozen = FreezePlan.none().norm("frozen")
    assert of(told(replace(recipe, freeze=frozen)), ev.Warned) == []
    assert of(told(replace(recipe, batch_size=16)), ev.Warned) == []


@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd"])
def test_every_optimiser_and_option(recipe, optimiser):
    settings = {
        "label_smoothing": 0.1,
        "augment": ("flip", "flip_vertical", "crop", "colour"),
        "precision": "bf16",
        "epochs": 1,
    }
    events = told(replace(recipe, optimiser=optimiser, **settings))
    assert events[0].precision == "bf16"
    assert isinstance(events[-1], ev.Finished)


class TestStopping:
    def test_in_the_first_epoch_there_is_no_model(self, recipe, paths):
        events = told(recipe, paths, stop_after(2))
        assert isinstance(events[-1], ev.Stopped)
        assert "no model" in events[-1].reason
        with pytest.raises(RunError, match="has no model yet"):
            result.load(paths, recipe)

    def test_later_the_best_model_so_far_is_kept(self, recipe, paths):
        events = told(replace(recipe, epochs=9), paths, stop_after(16))
        best = [e.epoch for e in of(events, ev.EpochEnded) if e.best][-1]
        assert events[-1] == ev.Stopped(f"stopped by me (the model is that of epoch {best})")
        assert 1 <= len(of(events, ev.EpochEnded)) < 9
        assert result.load(paths, recipe).classes == ("blue", "green", "red")


class TestBadImages:
    def break_one(self, images, split, recipe):
        sample = next(s for s in recipe.task.samples if s.split == split)
        (images / sample.source).unlink()
        return sample.source

    @pytest.mark.parametrize("split", ["train", "val"])
    def test_skipped_ones_are_named_once(self, images, recipe, split):
        source = self.break_one(images, split, recipe)
        skipped = of(told(recipe), ev.ImageSkipped)
        assert skipped == [ev.ImageSkipped(source, split, "it is gone")]

    def test_or_too_many_of_them_end_the_run(self, images, recipe):
        for sample in [s for s in recipe.task.samples if recipe.task.classes[s.label] == "red"]:
            (images / sample.source).unlink()
        with pytest.raises(TaskError, match=r"images of class red cannot be used .* or allow it with max_missing=1"):
            told(replace(recipe, max_missing=0.1))

    def test_or_the_run_fails(self, images, recipe):
        source = self.break_one(images, "train", recipe)
        with pytest.raises(TaskError, match=f"{source} cannot be decoded: it is gone"):
            told(replace(recipe, on_bad_image="fail"))

    def test_a_changed_file_is_not_taken_for_the_old_one(self, images, recipe):
        sample = recipe.task.samples[0]
        (images / "red" / "00.png").replace(images / sample.source)
        assert of(told(recipe), ev.ImageSkipped)[0].reason == "it changed after the task was made"

    @pytest.mark.parametrize(
        ("split", "message"), [("train", "none of the training images"), ("val", "none of the validation images")]
    )
    def test_nothing_left_of_a_split(self, images, recipe, split, message):
        for sample in recipe.task.split(split):
            (images / sample.source).unlink()
        with pytest.raises(TaskError, match=message):
            told(recipe)

    def test_test_images_are_under_the_same_policy(self, images, recipe, paths):
        recipe = replace(recipe, task=nt.Task.from_folder(images, holdout=0.25, test=0.25))
        gone, *others = recipe.task.split("test")
        (images / gone.source).unlink()
        events = told(recipe, paths)
        assert of(events, ev.ImageSkipped) == [ev.ImageSkipped(gone.source, "test", "it is gone")]
        assert [e.evaluation.examples for e in of(events, ev.Evaluated)] == [9, 8]
        for sample in others:
            (images / sample.source).unlink()
        events = told(recipe, paths)
        assert [e.evaluation.split for e in of(events, ev.Evaluated)] == ["val"]
        assert "none of the test images can be decoded" in of(events, ev.Warned)[-1].message
        assert isinstance(events[-1], ev.Finished)


UNBOUNDED = {"optimiser": "sgd", "clip_grad": None, "schedule": "constant"}


class TestDivergence:
    """A loss that is NaN or infinite ends the run with advice, and the best weights before it are kept."""

    def test_from_the_start(self, recipe, paths):
        events = told(replace(recipe, lr=1e3, epochs=6, **UNBOUNDED), paths)
        assert isinstance(events[-1], ev.Stopped)
        advice = r"the loss became (NaN|infinite) at learning rate .*; start again with a smaller lr"
        assert re.search(advice, events[-1].reason)
        assert all(math.isfinite(e.val_loss) for e in of(events, ev.EpochEnded))

    def test_a_learning_rate_of_a_billion_with_every_default(self, recipe, paths):
        events = told(replace(recipe, lr=1e9, epochs=3), paths)
        assert isinstance(events[-1], ev.Stopped)
        assert "start again with a smaller lr" in events[-1].reason

    def test_after_a_good_phase(self, recipe, paths):
        wild = Phase("wild", FreezePlan.none(), 4, lr=1e3, schedule="constant")
        strategy = Strategy("two", (Phase("good", FreezePlan.none(), 1, lr=1e-3), wild))
        events = told(replace(recipe, strategy=strategy, **{**UNBOUNDED, "schedule": None}), paths)
        assert "the model is that of epoch 1" in events[-1].reason
        assert of(events, ev.Evaluated)[0].evaluation.examples == 9
        assert all(torch.isfinite(t).all() for t in result.load(paths, recipe).state_dict().values())


def test_a_last_batch_of_one_does_no_harm(recipe):
    assert isinstance(told(replace(recipe, batch_size=26, epochs=1))[-1], ev.Finished)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"device": "cuda:7"}, RecipeError, "torch sees"),
        ({"precision": "fp16"}, RecipeError, "needs a GPU"),
        ({"freeze": FreezePlan.all().thaw("layer9")}, PlanError, "no layer of shufflenet_v2_x0_5 is called 'layer9'"),
    ],
)
def test_what_cannot_work_is_said_first(recipe, settings, error, message):
    with pytest.raises(error, match=message):
        told(replace(recipe, **settings))
