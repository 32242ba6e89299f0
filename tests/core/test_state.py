"""Events, and what they add up to."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtransfer.core import events as ev
from nbtransfer.core.codec import dumps
from nbtransfer.core.evaluation import evaluation
from nbtransfer.core.messages import Message
from nbtransfer.core.record import Record
from nbtransfer.core.state import RunState, fold
from nbtransfer.errors import InputError

PREPARED = ev.Prepared(
    "cpu", "x", "fp32", 2, 8, 4, 0, 100, "abc",
    (ev.PhasePlan("lp", 1, 0.01, 10, Message("")), ev.PhasePlan("ft", 2, 0.001, 100, Message(""))), {"torch": "2"},
)  # fmt: skip


def epoch(number, correct, best, phase="ft"):
    return ev.EpochEnded(phase, number, 3 * number, 0.5, 0.9, 0.4, correct, 4, 0.01, 1.5, best)


STORY = [
    ev.Starting(1, "h", "3.11"),
    PREPARED,
    ev.PhaseStarted("lp", 0),
    ev.Step("lp", 1, 2, 3, float("nan"), 0.01, 20.0),
    ev.ImageSkipped("a/1.png", "train", "it is damaged"),
    epoch(1, 2, True, "lp"),
    ev.CheckpointSaved("step-3", 3),
    ev.PhaseEnded("lp", 0, 1, "finished"),
    ev.PhaseStarted("ft", 1),
    epoch(2, 1, False),
    ev.Step("ft", 3, 1, 2, 0.3, 0.01, 20.0),
    ev.Warned("careful"),
    ev.CommandDone("7", "dance", "me", False, "unknown"),
    epoch(3, 4, True),
    ev.ReceiptIssued(3, 3, ()),
    ev.Evaluated(evaluation("val", ("a", "b"), [0, 1], [0, 1], 0.1)),
    ev.Finished(3, 12.0),
]


SOLVED = [
    replace(
        PREPARED,
        phases=(ev.PhasePlan("lp", 1, 0.0, 10, Message(""), "logistic"), ev.PhasePlan("ft", 3, 0.001, 100, Message(""))),
    ),
    ev.Decided("precision", "bf16", "it is faster"),
    ev.PhaseStarted("lp", 0),
    ev.Decided("cache", "layer4", "it saves time", 12.0, 40.0),
    ev.Computing("layer4", 4, 16, 30.0),
    ev.Computing("layer4", 16, 16, 30.0),
    ev.Solved("logistic", (1.0, 0.1), (0.5, 0.4), 0.1, True, 0.2),
    epoch(1, 2, True, "lp"),
    ev.PhaseEnded("lp", 0, 1, "finished"),
    ev.PhaseStarted("ft", 1),
    ev.Computing("layer1", 4, 16, 30.0),
]

CHANGED = [
    *STORY[:10],
    ev.CommandDone("8", "freeze", "me", True, "", {"layers": ["layer1"]}, 1, 6),
    ev.Planned((PREPARED.phases[0], replace(PREPARED.phases[1], summary="less"))),
    ev.CommandDone("9", "pause", "me", True, ""),
    ev.Paused("paused by me"),
    ev.Continued(),
    ev.CommandDone("10", "stop", "me", True, "", {}, 1, 7),
    ev.Stopped("stopped by me"),
    ev.Starting(2, "h", "3.11"),
    ev.Resumed(3, 1, "step-00000003", ()),
]


def test_what_was_decided_and_computed():
    """Computing features is nearly all of solving for a head, and no part of training."""
    states = [fold(records(SOLVED[:n])) for n in range(1, len(SOLVED) + 1)]
    assert [decision.choice for decision in states[-1].decisions] == ["bf16", "layer4"]
    assert [state.fraction for state in states] == pytest.approx([0, 0, 0, 0, 1 / 16, 1 / 4, 1 / 4, 1 / 4, 1 / 4, 1 / 4, 1 / 4])
    assert states[4].computing.done == 4
    assert states[4].phase_seconds_left == pytest.approx(12 / 30)
    assert states[5].phase_seconds_left == 0
    assert states[7].computing is None
    assert states[-1].phase_seconds_left is None


def records(events):
    return [Record(i, 1, 1000.0 + i, 10.0 + i, event) for i, event in enumerate(events)]


@pytest.mark.parametrize(
    "event", [*STORY, *SOLVED, *CHANGED, ev.Stopped("why"), ev.Failed("why")], ids=lambda e: type(e).__name__
)
def test_every_event_survives_its_journal_line(event):
    line = dumps(Record(3, 1, 5.5, 6.5, event).to_plain())
    back = Record.from_plain(json.loads(line))
    assert dumps(back.to_plain()) == line
    assert type(back.event) is type(event)


def test_all_events_are_tried_here():
    told = {type(event) for event in (*STORY, *SOLVED, *CHANGED)} | {ev.Stopped, ev.Failed}
    assert told == set(ev.Event.__subclasses__())


@pytest.mark.parametrize("data", [{}, {"seq": 1, "attempt": 1, "time": 0, "clock": 0, "event": "Nonsense"}])
def test_lines_that_are_no_records(data):
    with pytest.raises(InputError, match="not a journal record"):
        Record.from_plain(data)


def test_a_story_adds_up():
    state = fold(records(STORY))
    assert state.status == "finished"
    assert [(row.phase, row.epoch, row.val_accuracy) for row in state.history] == [
        ("lp", 1, 0.5),
        ("ft", 2, 0.25),
        ("ft", 3, 1.0),
    ]
    assert state.best.epoch == 3 == state.best_epoch
    assert state.skipped[0].source == "a/1.png"
    assert state.warnings == ("careful",)
    assert state.receipt.unchanged == 3
    assert state.evaluation("val").accuracy == 1.0
    assert state.evaluation("test") is None
    assert (state.epochs, state.fraction, state.seconds) == (3, 1.0, 16.0)


@given(st.integers(0, len(STORY)))
def test_folding_in_parts_or_twice_gives_the_same(cut):
    whole = records(STORY)
    assert fold(whole[cut:], fold(whole[:cut])) == fold(whole)
    assert fold(whole, fold(whole[:cut])) == fold(whole)


def test_fractions_grow():
    fractions = [fold(records(STORY[:n])).fraction for n in range(len(STORY) + 1)]
    assert fractions == sorted(fractions)
    assert 0.0 < fractions[4] < 1 / 3 == pytest.approx(fractions[6])


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (ev.Stopped("x"), "stopped"),
        (ev.Failed("x"), "failed"),
        (ev.CommandDone("1", "stop", "me", True, ""), "stopping"),
    ],
)
def test_other_endings(event, status):
    assert fold(records([*STORY[:9], event])).status == status


def test_a_run_nobody_has_begun():
    assert RunState().status == "created"
    assert not RunState().ended
    assert RunState().best is None


def test_an_epoch_said_again_after_a_resume_is_shown_once():
    told = [*STORY[:10], epoch(3, 2, False), epoch(2, 3, True)]
    assert [(row.epoch, row.val_accuracy) for row in fold(records(told)).history] == [(1, 0.5), (2, 0.75)]


class TestGoingOn:
    """A run that was paused, changed, stopped and resumed."""

    def states(self):
        return [fold(records(CHANGED[:n])) for n in range(1, len(CHANGED) + 1)]

    def test_statuses(self):
        assert [s.status for s in self.states()[12:]] == [
            "running", "paused", "running", "stopping", "stopped", "starting", "starting",
        ]  # fmt: skip

    def test_the_plan_that_is_shown_is_the_present_one(self):
        assert self.states()[-1].plan.summary == "less"

    def test_later_steps_are_void(self):
        assert [row.epoch for row in self.states()[-1].history] == [1]
        assert self.states()[-1].progress is None

    def test_a_change_is_kept_and_a_stop_that_did_not_last_is_not(self):
        before, after = self.states()[-3].changes, self.states()[-1].changes
        assert [change.op for change in before] == ["freeze", "stop"]
        assert [(change.op, change.phase, change.step) for change in after] == [("freeze", 1, 6)]

    def test_time_counts_while_somebody_is_at_work(self):
        """Clocks of two attempts have nothing in common."""
        first = [Record(0, 1, 0.0, 500.0, ev.Starting(1, "h", "3")), Record(1, 1, 0.0, 507.0, ev.Warned("x"))]
        second = [Record(2, 2, 0.0, 3.0, ev.Starting(2, "h", "3")), Record(3, 2, 0.0, 5.0, ev.Warned("y"))]
        assert fold([*first, *second]).seconds == 9.0
