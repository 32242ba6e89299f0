"""Commands while a run goes on, and after it was killed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import nbtransfer as nt
from nbtransfer.core.codec import dumps
from nbtransfer.core.freeze import FreezePlan, Rule
from nbtransfer.core.repeat import Repeat
from nbtransfer.core.training_plan import Change, phases_at
from nbtransfer.engine import checkpointer
from nbtransfer.engine.control import Unattended
from nbtransfer.engine.model.optimiser import set_rates
from nbtransfer.engine.model.transfer_model import HEAD
from nbtransfer.pretrained import torchvision_models
from tests.support.commands import Commands
from tests.support.sessions import new_session
from tests.support.stories import KilledAfter, Killer, Story, uninterrupted

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


@pytest.fixture(scope="module", params=[pytest.param("off", marks=pytest.mark.slow), "on"], ids="cache {}".format)
def changed(request, lasting, tmp_path_factory):
    """A run that was changed again and again, from its first step to its last; only looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBTRANSFER_HOME", str(tmp_path_factory.mktemp("changed") / "home"))
        story = Story(replace(lasting, cache=request.param))
        later = 0 if request.param == "off" else 7  # while activations are computed, it is asked, too
        commands = [(count + later * max(0, place - 1), op, arguments) for place, (count, op, arguments) in enumerate(LIVE)]
        assert story.attempt(Commands(*commands))
        assert len({change.step for change in story.state.changes}) > 3
        yield story


RULES = st.builds(
    Rule,
    st.sampled_from(("*", "stem", "stage3", "stage4", "conv5", "*.branch2.*")),
    learns=st.sampled_from((None, True, False)),
    lr=st.sampled_from((None, 0.1, 2.0)),
    norm=st.sampled_from((None, "training", "frozen", "affine_only")),
)


class TestReplan:
    """One plan: as it is shown, as it is sent, as it is in force, and as the receipt has it."""

    @given(st.lists(RULES, max_size=4).map(lambda rules: FreezePlan(tuple(rules))))
    @settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_a_plan_is_in_force_whole(self, small, plan):
        recipe, card = replace(small, epochs=1), nt.backbone(small.backbone)
        shown, story = plan.resolve(card), Story(recipe)
        assert story.attempt(Commands((3, "replan", {"rules": json.loads(dumps(plan.rules))})))
        [change] = story.state.changes
        in_force = phases_at(recipe, card, story.state.phase_index, story.state.step, made=[change])[-1].plan
        assert in_force.resolve(card) == shown
        frozen = {name for name, entry in shown.items() if not entry.learns}
        assert set(nt.Run(story.paths).receipt()) == frozen
        assert story.state.receipt.changed == ()

    def test_rates_and_modes_reach_the_optimiser_and_the_model(self, small):
        session = new_session(small)
        plan = FreezePlan.all().thaw("stage4", lr=0.25).norm("frozen", "stage4").norm("affine_only", "stage2")
        list(session.change(Change(0, 0, "replan", {"rules": json.loads(dumps(plan.rules))})))
        shown = plan.resolve(session.context.card)
        session.context.model.train()
        set_rates(session.context.optimiser, 1.0, 0.9, session.context.plan)
        rates = {group["layer"]: group["lr"] for group in session.context.optimiser.param_groups if group["layer"] != HEAD}
        for name, entry in shown.items():
            module = session.context.model.backbone.net.get_submodule(name)
            assert rates.get(name, entry.lr) == entry.lr
            assert all(parameter.requires_grad == entry.learns for parameter in module.parameters(recurse=False))
            if isinstance(module, torch.nn.BatchNorm2d):
                assert module.training == entry.updates

    def test_a_plan_that_does_not_fit_is_refused(self, small):
        story = Story(replace(small, epochs=1))
        assert story.attempt(Commands((2, "replan", {"rules": [{"layers": "layer9", "learns": False}]})))
        assert [(c.accepted, "layer9" in c.message) for c in story.state.commands] == [(False, True)]


def test_layers_that_learned_between_two_changes_only_are_kept(small, tmp_path):
    save_file(torchvision_models.build(small.backbone, 40).state_dict(), tmp_path / "own.safetensors")
    recipe = replace(small, weights=str(tmp_path / "own.safetensors"), strategy="lp", epochs=4, lr=0.01)
    commands = (3, "thaw", {"layers": ["stage4"]}), (9, "freeze", {"layers": ["stage4"]})
    whole = Story(recipe)
    assert whole.attempt(Commands(*commands))
    run = nt.Run(whole.paths)
    val = [sample for sample in recipe.task.samples if sample.split == "val"]
    for number, _, probabilities in run.predictions():
        [answer] = run.predict(recipe.task.image(val[number]))
        assert list(answer.probabilities.values()) == pytest.approx(probabilities, abs=1e-4)
    killed = Story(recipe, Repeat("x", whole.state.changes, whole.state.decisions))
    while not killed.attempt(Killer(11 + killed.attempts)):
        assert killed.attempts < 20
    assert killed.attempts > 1
    assert killed.outcome() == whole.outcome()


def test_a_best_epoch_before_layers_were_thawed_is_restored_with_them_as_they_were(small, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpointer, "SHARE", 0.0)
    save_file(torchvision_models.build(small.backbone, 40).state_dict(), tmp_path / "own.safetensors")
    weights = str(tmp_path / "own.safetensors")
    recipe = replace(small, weights=weights, strategy="lp", epochs=4, lr=0.01, checkpoint_every=None)
    commands = (9, "thaw", {"layers": ["stage4"], "lr": 1e4}), (14, "checkpoint", {})
    whole = Story(recipe)
    assert whole.attempt(Commands(*commands))
    assert whole.state.best.step <= whole.state.changes[0].step
    killed = Story(recipe)
    assert not killed.attempt(KilledAfter("checkpoint", *commands))
    assert killed.attempt()
    assert killed.state.resumed.checkpoint is not None
    assert killed.outcome()[0] == whole.outcome()[0]


class TestLive:
    """Changes while a run goes on."""

    def test_every_command_is_answered_once_and_in_order(self, changed):
        state = changed.state
        assert [(c.op, c.accepted) for c in state.commands] == [(op, True) for _, op, _ in LIVE]
        assert state.status == "finished"
        assert len(state.history) == 4

    def test_its_history_repeats_it_to_the_same_bits(self, changed):
        again = Story(changed.recipe, Repeat("x", changed.state.changes, changed.state.decisions))
        assert again.attempt()
        assert again.outcome() == changed.outcome()
        assert uninterrupted(changed.recipe)[0] != changed.outcome()[0]

    def test_a_killed_one_repeats_what_was_changed(self, changed):
        killed = Story(changed.recipe, Repeat("x", changed.state.changes, changed.state.decisions))
        while not killed.attempt(Killer(7 + killed.attempts)):
            assert killed.attempts < 50
        assert killed.attempts > 2
        assert killed.outcome() == changed.outcome()

    def test_frozen_layers_of_every_stretch_are_in_the_receipt(self, changed):
        assert changed.state.receipt.changed == ()
        lines = nt.Run(changed.paths).receipt()
        assert lines["stem.conv1.0"].startswith("unchanged during ft from step ")
        assert lines["conv5.0"].count("ft from step") == 1


@pytest.mark.parametrize("cache", [pytest.param("off", marks=pytest.mark.slow), "on"])
class TestAcknowledged:
    """What was acknowledged is never lost, however old the last checkpoint is."""

    def test_killed_right_after_the_answer(self, small, cache):
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


def test_what_was_decided_about_a_cache_holds_after_another_learning_rate_and_a_kill(small):
    """Whether it pays may look otherwise with fewer epochs to come, or without what was kept; the numbers would be others."""
    recipe = replace(small, strategy="last_stage", cache="on", epochs=4)
    story = Story(recipe)
    assert not story.attempt(KilledAfter("set_lr", (8, "set_lr", {"lr": 5e-3})))
    assert story.attempt()
    assert story.state.resumed is not None
    assert [(d.choice, d.id) for d in story.state.decisions if d.subject == "cache"] == [("stage4", "0.0")]


REFUSED = [
    ("dance", {}, "knows no command 'dance'"),
    ("freeze", {"layers": ["layer9"]}, "no layer of shufflenet_v2_x0_5 is called 'layer9'"),
    ("freeze", {}, "freeze needs the names of layers"),
    ("set_lr", {"lr": "fast"}, "'fast' is not a number"),
    ("set_lr", {"lr": 0}, "use a number above 0"),
    ("set_lr", {"lr": 1e-3, "now": True}, "has no argument 'now'"),
    ("set_epochs", {"epochs": 0}, "whole number from 1 to 1,000,000"),
    ("set_epochs", {"epochs": True}, "whole number from 1 to 1,000,000"),
]


class TestRefused:
    def test_it_says_why_and_goes_on_as_before(self, small):
        story = Story(small)
        assert story.attempt(Commands(*((count, op, arguments) for count, (op, arguments, _) in enumerate(REFUSED, 3))))
        for answer, (op, _, why) in zip(story.state.commands, REFUSED, strict=True):
            assert (answer.op, answer.accepted) == (op, False)
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


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(1, 30), st.sampled_from(["pause", "resume", "stop", "checkpoint"])), min_size=1, max_size=5)
)
def test_interruptions_in_any_order_change_nothing(small, commands):
    """Also a stop while it validates, saves or has stopped already, twice, or a resume of what goes on."""
    story = Story(small)
    asked = sorted(commands, key=lambda command: command[0])
    assert story.attempt(Commands(*((count, op, {}) for count, op in asked)))
    answered = [command.id for command in story.state.commands]
    assert len(answered) == len(set(answered))
    while story.state.status != "finished":
        assert story.state.status in ("paused", "stopped")
        assert story.attempt()
    assert story.attempts <= 2
    assert story.outcome() == uninterrupted(small)
