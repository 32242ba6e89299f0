"""Runs that are killed and go on: the same bits as if nothing had happened."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.repeat import Repeat
from nbtransfer.core.strategy import Phase, Strategy
from nbtransfer.engine.checkpoints import checkpoint
from nbtransfer.engine.control import Unattended
from nbtransfer.engine.fit import loop
from nbtransfer.engine.fit.loop import Loop
from nbtransfer.errors import CheckpointError
from nbtransfer.pretrained import torchvision_models
from tests.support.commands import Commands
from tests.support.stories import Killed, Killer, Story, killed_again_and_again, uninterrupted

GRADUAL = Strategy(
    "gradual",
    (
        Phase("head", FreezePlan.all(), 1, lr=0.01),
        Phase("stage4", FreezePlan.all().thaw("stage4", "conv5"), 2, schedule="cosine"),
        Phase("all", FreezePlan.none(), 2),
    ),
)


@pytest.fixture
def kept(small):
    """A recipe, and what comes of it."""
    return small, uninterrupted(small)


@pytest.fixture
def small(recipe):
    return replace(recipe, checkpoint_every=3, cache="off", probe="sgd")


RECIPES = {
    "adamw": {},
    "sgd": {"optimiser": "sgd", "clip_grad": None},
    "two phases": {"strategy": "lp_ft", "epochs": 4},
    "thawing stage by stage": {"strategy": GRADUAL},
    "thawing, cached": {"strategy": GRADUAL, "cache": "on"},
    "head solved, then everything": {"strategy": "lp_ft", "epochs": 3, "cache": "auto", "probe": "auto"},
    "last stage, cached, folded": {"strategy": "last_stage", "cache": "on", "epochs": 4},
    "helpers": {"loader_workers": 2},
    "augmented": {"augment": ("flip", "crop", "colour"), "label_smoothing": 0.1},
    "dropout": {"backbone": "efficientnet_b0"},
    "patience": {"patience": 1, "epochs": 5},
    "bf16": {"precision": "bf16", "epochs": 1},
}


@pytest.mark.parametrize("options", RECIPES.values(), ids=RECIPES)
def test_the_same_bits(small, options):
    recipe = replace(small, **options)
    story = killed_again_and_again(recipe, seed=len(options))
    assert story.outcome() == uninterrupted(recipe)
    assert story.state.resumed.differences == ()


def test_chance_is_at_work(small, monkeypatch):
    """Otherwise the test above would prove less than it says: what a step order must depend on the step alone."""
    recipe = replace(small, **RECIPES["dropout"])
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
        names = checkpoint.newest_first(story.paths.checkpoints)
        harm(story.paths.checkpoints / names[0])
        assert story.attempt()
        return story, names

    @pytest.mark.parametrize("file", [checkpoint.TENSORS, checkpoint.FACTS])
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
        for name in checkpoint.newest_first(story.paths.checkpoints):
            (story.paths.checkpoints / name / checkpoint.TENSORS).unlink()
        assert story.attempt()
        assert story.state.resumed.checkpoint is None
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
        names = checkpoint.newest_first(story.paths.checkpoints)
        folder = story.paths.checkpoints / names[0]
        tensors, facts = checkpoint.load(folder)
        checkpoint.save(folder, *alter(tensors, facts))
        return story, names

    def test_of_other_classes_it_is_refused_by_name(self, small):
        story, _ = self.exchanged(small, lambda tensors, facts: ({**tensors, "head.bias": torch.zeros(7)}, facts))
        with pytest.raises(CheckpointError, match=r"does not fit shufflenet_v2_x0_5: head.bias is unknown or of another shape"):
            story.attempt()

    @pytest.mark.parametrize("name", ["../../../step-00000008", "/tmp/step-00000008", "step-00000008/../step-00000008", "..\0"])
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


LIVE = [
    (4, "set_lr", {"lr": 5e-3}),
    (6, "freeze", {"layers": ["stem", "stage2"]}),
    (7, "pause", {}),
    (9, "resume", {}),
    (12, "thaw", {"layers": ["stage2"], "lr": 0.5}),
    (15, "set_epochs", {"epochs": 4}),
    (18, "freeze", {"layers": ["*"]}),
    (22, "thaw", {"layers": ["conv5"]}),
]


class KilledAfter(Commands):
    """Kills as soon as the answer to `op` has been written."""

    def __init__(self, op, *commands):
        super().__init__(*commands)
        self.op = op

    def done(self, command):
        if command.op == self.op:
            raise Killed
        super().done(command)


@pytest.mark.parametrize("cache", ["off", "on"])
class TestLive:
    """Changes while a run goes on."""

    def changed(self, small, cache):
        story = Story(replace(small, cache=cache))
        later = 0 if cache == "off" else 7  # while activations are computed, it is asked, too
        commands = [(count + later * max(0, place - 1), op, arguments) for place, (count, op, arguments) in enumerate(LIVE)]
        assert story.attempt(Commands(*commands))
        assert len({change.step for change in story.state.changes}) > 3
        return story

    def test_every_command_is_answered_once_and_in_order(self, small, cache):
        state = self.changed(small, cache).state
        assert [(c.op, c.accepted) for c in state.commands] == [(op, True) for _, op, _ in LIVE]
        assert state.status == "finished"
        assert len(state.history) == 4

    def test_its_history_repeats_it_to_the_same_bits(self, small, cache):
        story = self.changed(small, cache)
        again = Story(story.recipe, Repeat("x", story.state.changes, story.state.decisions))
        assert again.attempt()
        assert again.outcome() == story.outcome()
        plain = Story(story.recipe)
        plain.attempt()
        assert plain.outcome()[0] != story.outcome()[0]

    def test_a_killed_one_repeats_what_was_changed(self, small, cache):
        story = self.changed(small, cache)
        killed = Story(story.recipe, Repeat("x", story.state.changes, story.state.decisions))
        while not killed.attempt(Killer(7 + killed.attempts)):
            assert killed.attempts < 50
        assert killed.attempts > 2
        assert killed.outcome() == story.outcome()

    def test_killed_right_after_the_answer(self, small, cache):
        """What was acknowledged is never lost, however old the last checkpoint is."""
        recipe = replace(small, cache=cache, checkpoint_every=10**6)
        whole = Story(recipe)
        assert whole.attempt(Commands(*LIVE[:2]))
        story = Story(recipe)
        assert not story.attempt(KilledAfter("freeze", *LIVE[:2]))
        assert story.state.commands[-1].op == "freeze"
        assert story.attempt()
        assert story.state.resumed.checkpoint is None
        assert story.outcome() == whole.outcome()

    def test_a_change_after_a_kill_comes_after_those_acknowledged(self, small, cache):
        """What is asked while lost steps are done again waits until the run is where it was: the last word counts."""
        recipe = replace(small, cache=cache, checkpoint_every=10**6)
        story, first = Story(recipe), KilledAfter("freeze", (13, "set_lr", {"lr": 5e-3}), (13, "freeze", {"layers": ["stem"]}))
        assert not story.attempt(first)
        then = Commands((1, "checkpoint", {}), (1, "set_lr", {"lr": 2e-3}), (1, "thaw", {"layers": ["stem"]}))
        assert story.attempt(then)
        state = story.state
        assert state.resumed.step < state.changes[0].step
        assert [(c.op, c.accepted) for c in state.commands[2:]] == [("checkpoint", True), ("set_lr", True), ("thaw", True)]
        assert [change.op for change in state.changes] == ["set_lr", "freeze", "set_lr", "thaw"]
        assert len({change.step for change in state.changes}) == 1
        assert state.commands[2].step < state.commands[3].step
        assert state.prepared.phases[0].lr == 2e-3
        assert state.prepared.phases[0].summary.startswith("all ")
        again = Story(recipe, Repeat("x", state.changes, state.decisions))
        assert again.attempt()
        assert again.outcome() == story.outcome()

    def test_frozen_layers_of_every_stretch_are_in_the_receipt(self, small, cache):
        story = self.changed(small, cache)
        assert story.state.receipt.changed == ()
        lines = nt.Run(story.paths).receipt()
        assert lines["stem.conv1.0"].startswith("unchanged during ft from step ")
        assert lines["conv5.0"].count("ft from step") == 1


def test_what_was_decided_about_a_cache_holds_after_another_learning_rate_and_a_kill(small):
    """Whether it pays may look otherwise with fewer epochs to come, or without what was kept; the numbers would be others."""
    recipe = replace(small, strategy="last_stage", cache="on", epochs=4)
    story = Story(recipe)
    assert not story.attempt(KilledAfter("set_lr", (8, "set_lr", {"lr": 5e-3})))
    assert story.attempt()
    assert story.state.resumed is not None
    assert [(d.choice, d.id) for d in story.state.decisions if d.subject == "cache"] == [("stage4", "0.0")]


class TestRefused:
    @pytest.mark.parametrize(
        ("op", "arguments", "why"),
        [
            ("dance", {}, "knows no command 'dance'"),
            ("freeze", {"layers": ["layer9"]}, "no layer of shufflenet_v2_x0_5 is called 'layer9'"),
            ("freeze", {}, "freeze needs the names of layers"),
            ("set_lr", {"lr": "fast"}, "'fast' is not a number"),
            ("set_lr", {"lr": 0}, "use a number above 0"),
            ("set_lr", {"lr": 1e-3, "now": True}, "has no argument 'now'"),
            ("set_epochs", {"epochs": 0}, "whole number from 1 up"),
            ("set_epochs", {"epochs": True}, "whole number from 1 up"),
        ],
    )
    def test_it_says_why_and_goes_on_as_before(self, small, op, arguments, why):
        story = Story(small)
        assert story.attempt(Commands((5, op, arguments)))
        (answer,) = story.state.commands
        assert not answer.accepted
        assert why in answer.message
        assert story.outcome() == uninterrupted(small)

    def test_fewer_epochs_than_have_begun(self, small):
        story = Story(replace(small, epochs=3))
        assert story.attempt(Commands((12, "set_epochs", {"epochs": 1})))
        assert "use 2 or more" in story.state.commands[0].message


class TestPausing:
    def test_it_leaves_after_a_while_and_goes_on_later(self, small):
        story = Story(small)
        assert story.attempt(Commands((5, "pause", {})))
        assert story.state.status == "paused"
        assert story.state.waits.left
        assert story.attempt()
        assert story.outcome() == uninterrupted(small)

    def test_stopped_while_it_rests(self, small):
        story = Story(small)
        assert story.attempt(Commands((9, "pause", {}), (12, "stop", {})))
        assert story.state.status == "stopped"

    def test_stopped_and_resumed(self, small):
        story = Story(small)
        assert story.attempt(Commands((6, "stop", {})))
        assert story.state.status == "stopped"
        assert story.attempt()
        assert story.state.status == "finished"
        assert story.outcome() == uninterrupted(small)

    def test_stopped_where_the_repeated_one_was(self, small):
        story = Story(replace(small, epochs=4))
        assert story.attempt(Commands((15, "stop", {})))
        again = Story(story.recipe, Repeat("x", story.state.changes, story.state.decisions))
        assert again.attempt()
        assert again.state.status == "stopped"
        assert again.outcome() == story.outcome()

    def test_a_command_that_comes_too_late(self, small):
        story = Story(small)
        control = Commands((10**6, "set_lr", {"lr": 0.1}))
        control.take = lambda: [command for _, command in control._commands]
        assert story.attempt(control)
        assert story.state.commands[0].message == "it came too late: the run has ended"

    def test_asked_to_end_by_a_signal(self, small):
        story, control = Story(small), Unattended()
        control.ended_by = "asked to end by a signal"
        assert story.attempt(control)
        assert story.state.message.startswith("asked to end by a signal")
        assert story.state.resumed is None
        assert story.attempt()
        assert story.outcome() == uninterrupted(small)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(1, 30), st.sampled_from(["pause", "resume", "stop", "checkpoint"])), min_size=1, max_size=5)
)
def test_interruptions_in_any_order_change_nothing(kept, commands):
    """Also a stop while it validates, saves or has stopped already, twice, or a resume of what goes on."""
    recipe, whole = kept
    story = Story(recipe)
    asked = sorted(commands, key=lambda command: command[0])
    assert story.attempt(Commands(*((count, op, {}) for count, op in asked)))
    answered = [command.id for command in story.state.commands]
    assert len(answered) == len(set(answered))
    while story.state.status != "finished":
        assert story.state.status in ("paused", "stopped")
        assert story.attempt()
    assert story.attempts <= 2
    assert story.outcome() == whole


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


def test_a_batch_that_does_not_fit_into_a_gpu(small, monkeypatch):
    """Computed in parts, with one step of the optimiser for all of them."""
    real, sizes = Loop._step, []

    def step(self, batch, meter):
        if self.progress.parts == 1 and self.progress.step >= 2:
            raise torch.cuda.OutOfMemoryError("out of memory")
        sizes.append(self.progress.parts)
        real(self, batch, meter)

    monkeypatch.setattr(Loop, "_step", step)
    story = Story(small)
    assert story.attempt()
    assert sizes[:3] == [1, 1, 4]
    assert len(story.state.history) == 2
    assert "does not fit into the memory of the GPU" in story.state.warnings[-1]
    killed = killed_again_and_again(small, 3)
    assert killed.outcome() == story.outcome()
