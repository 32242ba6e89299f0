"""Runs that are killed and go on: the same bits as if nothing had happened."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from nbtransfer.core import events as ev
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.strategy import Phase, Strategy
from nbtransfer.engine.checkpoints import checkpoint
from nbtransfer.engine.control import Unattended
from nbtransfer.engine.fit import loop
from nbtransfer.errors import CheckpointError, FormatError
from nbtransfer.pretrained import torchvision_models
from nbtransfer.store import checkpoints
from tests.support.stories import Killer, Story, killed_again_and_again, uninterrupted

GRADUAL = Strategy(
    "gradual",
    (
        Phase("head", FreezePlan.all(), 1, lr=0.01),
        Phase("stage4", FreezePlan.all().thaw("stage4", "conv5"), 2, schedule="cosine"),
        Phase("all", FreezePlan.none(), 2),
    ),
)


RECIPES = {
    "thawing, cached": {"strategy": GRADUAL, "cache": "on"},
    "head solved, then everything": {"strategy": "lp_ft", "epochs": 3, "cache": "auto", "probe": "auto"},
    "last stage, cached, folded": {"strategy": "last_stage", "cache": "on", "epochs": 4},
    "augmented": {"augment": ("flip", "crop", "colour"), "label_smoothing": 0.1},
    "bf16": {"precision": "bf16", "epochs": 1},
}
MORE = {
    "patience": {"patience": 1, "epochs": 5},
    "sgd": {"optimiser": "sgd", "clip_grad": None},
    "two phases": {"strategy": "lp_ft", "epochs": 4},
    "adamw": {},
    "thawing stage by stage": {"strategy": GRADUAL},
    "dropout": {"backbone": "efficientnet_b0"},
}


@pytest.mark.parametrize(
    "options",
    [
        *(pytest.param(v, id=k) for k, v in RECIPES.items()),
        *(pytest.param(v, id=k, marks=pytest.mark.slow) for k, v in MORE.items()),
    ],
)
def test_the_same_bits(small, options):
    recipe = replace(small, **options)
    story = killed_again_and_again(recipe, seed=len(options))
    assert story.outcome() == uninterrupted(recipe)
    assert story.state.resumed.differences == ()


class TestScores:
    """What the result is scored on may not depend on where the last worker began."""

    @pytest.mark.parametrize("cache", ["auto", pytest.param("off", marks=pytest.mark.slow)])
    def test_the_probe_is_best_and_later_phases_make_it_worse(self, small, cache):
        recipe = replace(small, strategy="lp_ft", epochs=2, cache=cache, probe="auto", lr=3.0, fold=True, precision="fp32")
        whole = Story(recipe)
        assert whole.attempt()
        assert whole.state.best.epoch == 1
        for steps in (1, 4, 8):
            story = Story(recipe)
            assert not story.attempt(Killer(steps))
            assert story.attempt()
            assert story.outcome() == whole.outcome()

    @given(st.data())
    @settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_whatever_is_killed_whenever(self, small, data):
        recipe = replace(
            small,
            strategy=data.draw(st.sampled_from(["lp", "lp_ft", "last_stage", GRADUAL])),
            cache=data.draw(st.sampled_from(["on", "off"])),  # "auto" depends on the time that was measured
            probe=data.draw(st.sampled_from(["auto", "sgd"])),
            fold=data.draw(st.booleans()),
        )
        story = Story(recipe)
        story.attempt(Killer(data.draw(st.integers(0, 24))))
        assert story.state.over or story.attempt()
        assert story.outcome() == uninterrupted(recipe)


@pytest.mark.usefixtures("helpers")
def test_the_same_bits_with_helpers_that_load_images(small):
    story = Story(replace(small, loader_workers=2))
    assert not story.attempt(Killer(7))
    assert story.attempt()
    assert story.state.resumed.step > 0
    assert story.outcome() == uninterrupted(small)


@pytest.mark.slow
def test_chance_is_at_work(small, monkeypatch):
    """Otherwise the tests above would prove less than they say: what a step draws must depend on the step alone."""
    recipe = replace(small, **MORE["dropout"])
    whole = uninterrupted(recipe)
    monkeypatch.setattr(loop, "seed_step", lambda *_: None)
    assert killed_again_and_again(recipe, 1).outcome()[0] != whole[0]


def test_checkpoints_change_nothing(small):
    assert uninterrupted(small) == uninterrupted(replace(small, checkpoint_every=None))


class TestDamage:
    """The newest checkpoint is not what it was."""

    def broken(self, small, harm):
        story = Story(small)
        assert not story.attempt(Killer(13))
        names = checkpoints.newest_first(story.paths.checkpoints)
        harm(story.paths.checkpoints / names[0])
        assert story.attempt()
        return story, names

    @pytest.mark.parametrize("file", [checkpoint.TENSORS, checkpoints.FACTS])
    @pytest.mark.parametrize("how", ["truncated", "flipped", "missing"])
    def test_the_one_before_is_used(self, small, file, how):
        def harm(folder):
            path = folder / file
            data = bytearray(path.read_bytes())
            if how == "missing":
                path.unlink()
            elif how == "truncated":
                path.write_bytes(data[: len(data) // 2])
            else:
                data[len(data) // 2] ^= 64
                path.write_bytes(data)

        story, names = self.broken(small, harm)
        assert story.state.resumed.checkpoint == names[1]
        assert any("it is put aside, and the one before is used" in text for text in story.state.warnings)
        assert story.outcome() == uninterrupted(small)

    def test_all_are_gone(self, small):
        story = Story(small)
        assert not story.attempt(Killer(13))
        for name in checkpoints.newest_first(story.paths.checkpoints):
            (story.paths.checkpoints / name / checkpoint.TENSORS).unlink()
        assert story.attempt()
        assert story.state.resumed.checkpoint is None
        said = [text for text in story.state.warnings if "put aside" in text]
        assert all("the one before is used" in text for text in said[:-1])
        assert said[-1].endswith("it is put aside, and the run starts over: there is no other")
        assert story.outcome() == uninterrupted(small)

    def test_a_best_epoch_that_is_damaged_is_learned_again(self, small):
        recipe = replace(small, epochs=4)
        story = Story(recipe)
        assert not story.attempt(Killer(26))
        best = story.state.best
        saved = [r.event for r in story.records if isinstance(r.event, ev.CheckpointSaved) and r.event.step == best.step]
        (story.paths.checkpoints / saved[0].name / checkpoint.TENSORS).write_bytes(b"nothing")
        assert story.attempt()
        assert story.outcome() == uninterrupted(recipe)

    def test_weights_that_changed_meanwhile_are_refused(self, small, tmp_path):
        state = torchvision_models.build(small.backbone, 40).state_dict()
        save_file(state, tmp_path / "own.safetensors")
        story = Story(replace(small, weights=str(tmp_path / "own.safetensors")))
        assert not story.attempt(Killer(13))
        save_file({k: 2 * v for k, v in state.items()}, tmp_path / "own.safetensors")
        with pytest.raises(CheckpointError, match="started from other weights"):
            story.attempt()


class TestForeignCheckpoints:
    """The newest checkpoint is whole, and was made by somebody else."""

    def exchanged(self, small, alter):
        """The story of a killed run whose newest checkpoint was written anew with other contents."""
        story = Story(small)
        assert not story.attempt(Killer(13))
        names = checkpoints.newest_first(story.paths.checkpoints)
        folder = story.paths.checkpoints / names[0]
        tensors, facts = checkpoint.load(folder)
        checkpoint.save(folder, *alter(tensors, facts))
        return story, names

    def test_of_other_classes_it_is_refused_by_name(self, small):
        story, _ = self.exchanged(small, lambda tensors, facts: ({**tensors, "head.bias": torch.zeros(7)}, facts))
        with pytest.raises(CheckpointError, match=r"does not fit shufflenet_v2_x0_5: head.bias is unknown or of another shape"):
            story.attempt()

    def test_of_another_cut_it_is_refused_and_left_alone(self, small):
        """The optimiser's tensors are numbered by the layers."""
        story, names = self.exchanged(small, lambda tensors, facts: (tensors, {**facts, "layers": "0" * 64}))
        with pytest.raises(FormatError, match="was written with shufflenet_v2_x0_5 cut into other layers; resume the run with"):
            story.attempt()
        assert checkpoints.newest_first(story.paths.checkpoints) == names

    @pytest.mark.parametrize("backbone", ["shufflenet_v2_x0_5", "timm/resnet10t"])
    def test_of_the_format_before_it_is_of_the_same_layers_unless_they_were_spliced(self, small, backbone):
        def without(tensors, facts):
            return tensors, {**{key: value for key, value in facts.items() if key != "layers"}, "format": 2}

        recipe = replace(small, backbone=backbone)
        story, _ = self.exchanged(recipe, without)
        if backbone == small.backbone:
            assert story.attempt()
            assert story.outcome() == uninterrupted(recipe)
        else:
            with pytest.raises(FormatError, match="cut into other layers"):
                story.attempt()

    @pytest.mark.parametrize(
        "name",
        [
            "../../../step-00000008",
            *(
                pytest.param(name, marks=pytest.mark.slow)
                for name in ("/tmp/step-00000008", "step-00000008/../step-00000008", "..\0")
            ),
        ],
    )
    def test_a_best_epoch_that_is_a_path_is_not_opened(self, small, name):
        story, names = self.exchanged(small, lambda tensors, facts: (tensors, {**facts, "best": {"1": name}}))
        assert story.attempt()
        assert story.state.resumed.checkpoint == names[1]
        assert any("is not the name of a checkpoint; it is put aside" in text for text in story.state.warnings)
        assert story.outcome() == uninterrupted(small)


def test_another_environment_is_said(small):
    story = Story(small)
    assert not story.attempt(Killer(13))
    prepared = next(r.event for r in story.records if isinstance(r.event, ev.Prepared))
    place = next(i for i, r in enumerate(story.records) if r.event is prepared)
    other = replace(prepared, versions={**prepared.versions, "torch": "1.0"})
    story.records[place] = replace(story.records[place], event=other)
    assert story.attempt()
    assert len(story.state.resumed.differences) == 1
    assert any("not bit-identical" in text and "was 1.0" in text for text in story.state.warnings)


def test_a_full_disk_is_waited_for(small, monkeypatch):
    real, tries = checkpoint.save_file, []

    def full(tensors, path):
        tries.append(path)
        if 2 <= len(tries) <= 4:
            raise checkpoint.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
        real(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", full)

    class Patient(Unattended):
        def rest(self):
            return True

    story = Story(small)
    assert story.attempt(Patient())
    told = [type(r.event).__name__ for r in story.records]
    assert told.count("Paused") == told.count("Continued") == 1
    monkeypatch.undo()
    assert story.outcome() == uninterrupted(small)
