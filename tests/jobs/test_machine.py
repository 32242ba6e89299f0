"""No sequence of commands, crashes and resumes reaches an illegal state or loses what was acknowledged.

The real engine, desk, journal and inbox, in the test's own process: a worker is a generator of events, and a crash leaves it.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.core.codec import from_plain
from nbtransfer.core.repeat import Repeat
from nbtransfer.core.state import fold
from nbtransfer.core.strategy import Strategy
from nbtransfer.core.training_plan import TrainingPlan
from nbtransfer.engine.checkpoints import checkpoint, result
from nbtransfer.engine.fit import loop
from nbtransfer.engine.model.freezing import digest
from nbtransfer.engine.training import carry_out
from nbtransfer.jobs.worker_io import WorkerIO
from nbtransfer.store import checkpoints, inbox, runs
from nbtransfer.store.journal import JournalReader
from tests.support.runs import carried_out, recipe

STAGES = ("stem", "stage2", "stage3", "stage4", "conv5")
LAYERS = st.lists(st.sampled_from((*STAGES, "*")), min_size=1, max_size=2, unique=True)
CHANGES = st.one_of(
    st.tuples(st.sampled_from(("freeze", "thaw")), st.fixed_dictionaries({"layers": LAYERS})),
    st.tuples(st.just("replan"), st.fixed_dictionaries({"frozen": st.lists(st.sampled_from(STAGES), unique=True)})),
    st.tuples(st.just("set_lr"), st.fixed_dictionaries({"lr": st.sampled_from((1e-3, 3e-3, 0))})),
    st.tuples(st.just("set_epochs"), st.fixed_dictionaries({"epochs": st.sampled_from((1, 4, 6, 8))})),
)
OTHERS = st.tuples(st.sampled_from(("pause", "resume", "stop", "checkpoint", "dance")), st.just({}))
COMMANDS = CHANGES | OTHERS
STEPS = st.integers(1, 5)
RECIPES = {
    "plain": {"epochs": 6, "cache": "off", "checkpoint_every": 3},
    "hardly any checkpoints": {"epochs": 6, "cache": "off", "checkpoint_every": 10**6},
    "two phases": {"strategy": "lp_ft", "epochs": 6, "cache": "on", "probe": "sgd", "checkpoint_every": 2},
    "head solved": {"strategy": "lp_ft", "epochs": 6, "checkpoint_every": 2},
}
FOLLOWING = {
    "created": {"starting"},
    "starting": {"starting", "running"},
    "running": {"starting", "running", "paused", "stopping", "finished"},
    "paused": {"starting", "running", "paused", "stopping"},
    "stopping": {"starting", "running", "stopping", "stopped"},
    "stopped": {"starting", "stopped"},
    "finished": {"finished"},
}
"""What a reader may see next. From `paused` to `stopped` or `finished` something must be said first."""


class DelayedWorkerIO(WorkerIO):
    """While the run is paused, what is to be asked `later` comes one by one; then the worker leaves."""

    def __init__(self, paths, later):
        super().__init__(paths)
        self.later = later

    def rest(self):
        if self.later:
            op, arguments = self.later.pop(0)
            inbox.send(self._paths.control, op, **arguments)
            return True
        return False


class Machine(RuleBasedStateMachine):
    """One run, with whoever asks things of it and whatever kills it."""

    def __init__(self, recipes):
        super().__init__()
        self.recipes, self.later, self.sent, self.worker, self.io = recipes, [], [], None, None
        self.reader, self.state, self.steps = None, None, 0

    @initialize(name=st.sampled_from(sorted(RECIPES)))
    def create(self, name):
        self.recipe = self.recipes[name]
        self.paths = runs.create(self.recipe)
        self.reader, self.state = JournalReader(self.paths.events), fold([])
        self.begin()

    def look(self):
        """What is new in the journal, one by one: a reader may look after each."""
        for record in self.reader.read():
            before, self.state = self.state.status, fold([record], self.state)
            assert self.state.status in FOLLOWING[before], f"{record.event} made {self.state.status} of {before}"

    def begin(self):
        """Another worker."""
        self.io = DelayedWorkerIO(self.paths, self.later)
        self.io.write(ev.Starting(os.getpid(), "h", "3"))
        past = self.io.past if self.io.past.pid else None
        self.worker = carry_out(self.recipe, self.paths, self.io, past)

    def end(self):
        self.io._journal.close()
        self.worker = None

    def send(self, op, arguments):
        self.sent.append(inbox.send(self.paths.control, op, **arguments).id)

    def go_on(self):
        """Until the next word."""
        event = next(self.worker, None)
        if event is None:
            self.end()
        else:
            self.io.write(event)
            self.steps += isinstance(event, ev.Step)

    def learn(self, steps):
        goal = self.steps + steps
        while self.worker and self.steps < goal:
            self.go_on()

    def crash(self, torn):
        """What the worker was about to say is lost; or there is half of it."""
        event = next(self.worker, None)
        self.end()
        if torn and event is not None:
            with self.paths.events.open("ab") as journal:
                journal.write(b'{"seq":')

    @precondition(lambda self: self.worker)
    @rule(commands=st.lists(st.tuples(STEPS, COMMANDS), min_size=1, max_size=4))
    def ask(self, commands):
        for steps, (op, arguments) in commands:
            self.learn(steps)
            self.send(op, arguments)

    @rule(command=COMMANDS)
    def ask_while_paused(self, command):
        self.later.append(command)

    @precondition(lambda self: self.worker)
    @rule(steps=STEPS, words=st.integers(0, 3), torn=st.booleans())
    def crash_anywhere(self, steps, words, torn):
        self.learn(steps)
        for _ in range(words):
            if self.worker:
                self.go_on()
        if self.worker:
            self.crash(torn)

    @precondition(lambda self: self.worker)
    @rule(steps=STEPS, first=CHANGES, second=CHANGES)
    def crash_after_an_answer(self, steps, first, second):
        """The most delicate of all moments: what is asked next is asked while lost steps are done again."""
        self.learn(steps)
        self.send(*first)
        while self.worker and self.sent[-1] not in (answer.id for answer in self.state.commands):
            self.go_on()
            self.look()
        if self.worker:
            self.crash(torn=False)
            self.resume()
            self.send(*second)

    @precondition(lambda self: not self.worker and self.state and self.state.status != "finished")
    @rule()
    def resume(self):
        self.send("resume", {})
        self.begin()

    @invariant()
    def nothing_is_lost(self):
        if self.reader is None:
            return
        self.look()
        answers = self.state.commands
        assert max(Counter(answer.id for answer in answers).values(), default=1) == 1
        made = [answer.change for answer in answers if answer.change and answer.op != "stop"]
        assert [change for change in self.state.changes if change.op != "stop"] == made
        moments = [(change.phase, change.step) for change in made]
        assert moments == sorted(moments)
        if not self.worker:
            assert self.state.status != "created"

    def teardown(self):
        if self.reader is None:
            return
        self.later.clear()
        for _ in range(20):
            while self.worker:
                self.go_on()
            self.look()
            if self.state.status == "finished":
                break
            self.resume()
        assert self.state.status == "finished"
        self.nothing_is_lost()
        assert {answer.id for answer in self.state.commands} >= set(self.sent) - {
            command.id for command in inbox.pending(self.paths.control)
        }
        self.check_training_plan()
        again = carried_out(self.recipe, Repeat("x", self.state.changes, self.state.decisions))
        assert outcome(again.paths, self.recipe, again.state) == outcome(self.paths, self.recipe, self.state)

    def check_training_plan(self):
        """What was in force at the end is what was acknowledged."""
        training_plan = TrainingPlan(self.recipe, nt.backbone(self.recipe.backbone))
        for change in self.state.changes:
            training_plan.apply(change)
        if self.state.changes:
            _, facts = checkpoint.load(self.paths.checkpoints / checkpoints.newest_first(self.paths.checkpoints)[0])
            assert from_plain(Strategy, facts["strategy"]) == training_plan.strategy
        assert sum(phase.epochs for phase in training_plan.phases) == self.state.epochs == len(self.state.history)


def outcome(paths, made, state):
    """Weights, buffers and every figure but times."""
    rows = [replace(row, seconds=0.0) for row in state.history]
    return digest(result.load(paths, made).state_dict().values()), rows, state.evaluations, state.receipt


@pytest.mark.parametrize("examples", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_commands_crashes_and_resumes(images, monkeypatch, examples):
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_STEPS", 0)  # a worker can be left wherever it says something
    made = {name: recipe(images, **given) for name, given in RECIPES.items()}
    quick = settings(
        max_examples=examples,
        stateful_step_count=12,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: Machine(made), settings=quick)
