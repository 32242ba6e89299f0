"""Many kills, many commands: nothing is lost, and the bits stay the same. `make soak` does more of it and shows figures."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.core.codec import from_plain
from nbtransfer.core.strategy import Strategy
from nbtransfer.core.training_plan import CHANGES, TrainingPlan
from nbtransfer.engine.checkpoints import checkpoint
from nbtransfer.jobs.launcher import repeat
from nbtransfer.store import checkpoints, inbox
from tests.soak.figures import Figures
from tests.soak.kills import PATIENCE, all_endured, outcome
from tests.soak.plans import PLANS, made
from tests.soak.talk import brought_to_an_end, endless, events, step_seconds, talked_to


def killed(images, figures, names, kills):
    """Runs under these plans, killed so often each, are what they would have been."""
    found = all_endured([made(images, name) for name in names], kills, seed=len(names))
    different = []
    for name, (whole, runs) in zip(names, found, strict=True):
        different += [(name, run.id) for run in runs if outcome(run) != outcome(whole)]
        figures.runs += 1 + len(runs)
        figures.resumes += sum(run.state.attempt - 1 for run in runs)
    figures.parallel = len(names)
    figures.kills += kills * len(names)
    figures.mismatches += len(different)
    assert not different


def commanded(figures, commands, kills):
    """Two controllers and a killer: every command is answered once, what was acknowledged is there, in order."""
    run = nt.start(endless())
    told = talked_to(run, commands, kills, Random(commands))
    state = brought_to_an_end(run)
    assert state.status == "finished", run.log()
    assert inbox.pending(run.paths.control) == []
    answers = events(run, ev.CommandDone)
    count(figures, run, told, answers, kills)
    in_order(told, answers)
    in_force(run, state, answers)
    again = repeat(run)
    assert again.wait(PATIENCE).status == "finished", again.log()
    same = outcome(again) == outcome(run)
    figures.mismatches += not same
    assert same


def count(figures, run, told, answers, kills):
    """Nothing that was sent is without an answer, nothing has two, and nobody was told anything else."""
    times = Counter(answer.id for answer in answers)
    accepted = {answer.id: answer.accepted for answer in answers}
    sent = [line for lines in told for line in lines]
    lost = [line for line in sent if times[line["id"]] != 1]
    figures.runs += 2
    figures.kills += kills
    figures.resumes += run.state.attempt - 1
    figures.sent += len(sent)
    figures.accepted += sum(accepted.get(line["id"], False) for line in sent)
    figures.refused += sum(not accepted.get(line["id"], True) for line in sent)
    figures.lost += len(lost)
    figures.latencies += [line["seconds"] for line in sent if line["became"] == "accepted"]
    figures.steps += step_seconds(run)
    assert not lost
    assert all(accepted[line["id"]] == (line["became"] == "accepted") for line in sent if line["became"] != "open")
    assert {line["became"] for line in sent} >= {"accepted", "refused"}


def in_order(told, answers):
    """Of each sender, changes are answered in the order they were sent; all are made in the order of their answers."""
    for lines in told:
        numbers = {line["id"] for line in lines}
        answered = [answer.id for answer in answers if answer.id in numbers and answer.op in CHANGES]
        assert answered == [line["id"] for line in lines if line["op"] in CHANGES]
    moments = [(answer.phase, answer.step) for answer in answers if answer.change]
    assert moments == sorted(moments)


def in_force(run, state, answers):
    """The history holds what was acknowledged, each once; what the worker had in force at its end follows from it."""
    assert list(state.changes) == [answer.change for answer in answers if answer.change]
    training_plan = TrainingPlan(run.recipe, nt.backbone(run.recipe.backbone))
    for change in state.changes:
        training_plan.apply(change)
    newest = checkpoints.newest_first(run.paths.checkpoints)[0]
    _, facts = checkpoint.load(run.paths.checkpoints / newest)
    assert facts["changes"] == len(state.changes)
    assert from_plain(Strategy, facts["strategy"]) == training_plan.strategy


@pytest.mark.slow
def test_a_few_kills(images):
    killed(images, Figures(), list(PLANS)[:2], kills=1)


@pytest.mark.slow
def test_some_commands():
    commanded(Figures(), commands=60, kills=1)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_kills(images, figures):
    killed(images, figures, list(PLANS), kills=10)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_commands(figures):
    commanded(figures, commands=1000, kills=10)
