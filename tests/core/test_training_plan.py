"""The training_plan of a run under changes, crashes and returns to earlier moments: always what its history says."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from nbtransfer.core import catalog
from nbtransfer.core import events as ev
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.record import Record
from nbtransfer.core.state import fold
from nbtransfer.core.task import Sample, TaskCard
from nbtransfer.core.training_plan import Change, TrainingPlan, merge
from nbtransfer.errors import InputError

CARD = catalog.card("shufflenet_v2_x0_5")
TASK = TaskCard("x", "folder", "/x", ("a", "b"), tuple(Sample(f"{n}.png", n % 2, "train", "") for n in range(4)))
LAYERS = st.lists(st.sampled_from((*CARD.stages, "*", "layer9")), min_size=1, max_size=2, unique=True)
CHANGES = st.one_of(
    st.tuples(st.just("freeze"), st.fixed_dictionaries({"layers": LAYERS})),
    st.tuples(st.just("thaw"), st.fixed_dictionaries({"layers": LAYERS}, optional={"lr": st.sampled_from((0.5, -1))})),
    st.tuples(st.just("replan"), st.fixed_dictionaries({"frozen": st.lists(st.sampled_from(CARD.stages), unique=True)})),
    st.tuples(
        st.just("replan"),
        st.fixed_dictionaries(
            {
                "rules": st.lists(
                    st.fixed_dictionaries(
                        {"layers": st.sampled_from((*CARD.stages, "*", "layer9"))},
                        optional={"learns": st.booleans(), "lr": st.sampled_from((0.5, 2)), "norm": st.just("frozen")},
                    ),
                    max_size=3,
                )
            }
        ),
    ),
    st.tuples(st.just("set_lr"), st.fixed_dictionaries({"lr": st.sampled_from((1e-3, 0.1, 0))})),
    st.tuples(st.just("set_epochs"), st.fixed_dictionaries({"epochs": st.integers(0, 9)})),
    st.tuples(st.just("stop"), st.just({})),
)
"""Some of them have to be refused."""


class Machine(RuleBasedStateMachine):
    """Steps, changes, checkpoints, crashes. What the training_plan should be is found by making all changes anew."""

    def __init__(self):
        super().__init__()
        self.records = []

    @initialize(strategy=st.sampled_from(("ft", "lp_ft", "last_stage")), probe=st.sampled_from(("auto", "sgd")))
    def begin(self, strategy, probe):
        self.recipe = Recipe(task=TASK, backbone=CARD.name, strategy=strategy, epochs=6, probe=probe)
        self.training_plan, self.moment = TrainingPlan(self.recipe, CARD), (0, 0)
        self.saved = self.training_plan.strategy, 0, self.moment

    def due(self):
        while self.training_plan.due(*self.moment):
            self.training_plan.apply(self.training_plan.coming.pop(0))

    @rule(steps=st.integers(1, 3))
    def go_on(self, steps):
        for _ in range(steps):
            self.moment = (self.moment[0], self.moment[1] + 1)
            self.due()

    @rule()
    def next_phase(self):
        if self.moment[0] + 1 < len(self.training_plan.phases) and not self.training_plan.coming:
            self.moment = (self.moment[0] + 1, self.moment[1])

    @rule()
    def save(self):
        self.saved = self.training_plan.strategy, len(self.training_plan.made), self.moment

    @rule(change=CHANGES)
    def ask(self, change):
        """As an handler does: not before all that was acknowledged is made again."""
        op, arguments = change
        made = Change(*self.moment, op, arguments)
        if self.training_plan.coming:
            return
        before = self.training_plan.strategy, list(self.training_plan.made)
        try:
            self.training_plan.apply(made)
            accepted = True
        except InputError:
            assert (self.training_plan.strategy, self.training_plan.made) == before
            accepted = False
        number = len(self.records)
        answer = ev.CommandDone(str(number), op, "me", accepted, "", arguments, *self.moment)
        self.records.append(Record(number, 1, 0.0, 0.0, answer))

    @rule()
    def crash(self):
        """Another worker, with the journal and the newest checkpoint."""
        strategy, done, self.moment = self.saved
        self.training_plan = TrainingPlan(self.recipe, CARD, merge(fold(self.records).changes))
        self.training_plan.restore_changes(strategy, done)
        self.due()

    @invariant()
    def it_is_what_the_history_says(self):
        if not hasattr(self, "training_plan"):
            return
        changes = fold(self.records).changes
        assert list(changes) == merge(changes)
        made = [change for change in changes if (change.phase, change.step) <= self.moment]
        anew = TrainingPlan(self.recipe, CARD)
        for change in made:
            anew.apply(change)
        assert (anew.strategy, anew.made) == (self.training_plan.strategy, self.training_plan.made)
        assert self.training_plan.coming == list(changes[len(made) :])
        assert all(phase.epochs >= 1 for phase in self.training_plan.phases)
        assert all(self.training_plan.lr(index) > 0 for index in range(len(self.training_plan.phases)))


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=12, stateful_step_count=30, deadline=None)
