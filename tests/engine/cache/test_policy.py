"""Whether it pays to keep activations."""

from __future__ import annotations

from dataclasses import replace

from nbtransfer.core import events as ev
from nbtransfer.engine.cache import activations, cost_model, policy
from nbtransfer.engine.cache.cost_model import Costs
from tests.support.sessions import new_session
from tests.support.training import decided, of, told, trained


class TestWhereItDoesNotPay:
    def test_new_views_in_every_epoch(self, frozen):
        events = told(replace(frozen, augment=("crop",)))
        assert decided(events)[0].choice == "no"
        assert "views=8 draws eight" in decided(events)[0].reason

    def test_no_room(self, frozen):
        plain, events = trained(replace(frozen, cache="off")), trained(replace(frozen, cache_budget=1000))
        assert "there is room for 1 kB" in decided(events[2])[0].reason
        assert plain[:2] == events[:2]

    def test_what_saves_no_time(self, frozen, monkeypatch):
        """The first stage makes more of an image than there was."""
        layout = activations.Layout((24, 40, 40), (1600, 40, 1), "float32", "float32")
        layouts = {"train": layout, "val": layout}
        monkeypatch.setattr(cost_model, "measure", lambda *_: Costs(layouts, 0, 0, True, 0, 1e-9, 1e-9, 1, 1, 1, 1))
        decision = decided(told(replace(frozen, cache="auto")))[0]
        assert decision.choice == "no"
        assert "more than the images themselves" in decision.reason
        assert decision.seconds < decision.otherwise

    def test_what_saves_too_little_is_not_written_but_used_where_it_is_there(self, frozen, monkeypatch):
        layout = activations.Layout((24, 40, 40), (1600, 40, 1), "float32", "float32")
        auto = replace(frozen, cache="auto")
        found = Costs({"train": layout, "val": layout}, 0, 0, True, 0, 0.03, 0.03, 1, 1, 0, 0)
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(cost_model, "measure", lambda *_: found)
            decision = decided(told(auto))[0]
            assert decision.choice == "no"
            assert decision.reason.endswith("too little to be worth it")
            assert decision.seconds > decision.otherwise > policy.WORTH_IT * decision.seconds
        told(replace(frozen, cache="on"))
        monkeypatch.setattr(cost_model, "measure", lambda *_: found)
        assert decided(told(auto))[0].choice != "no"


def exhausted(generator):
    """What a generator yields, and what it returns."""
    yielded = []
    try:
        while True:
            yielded.append(next(generator))
    except StopIteration as end:
        return yielded, end.value


class TestPhases:
    def test_what_is_held_in_memory_is_used_again(self, frozen, home):
        """The plan may change without the boundary."""
        session = new_session(frozen)
        (home / "caches").write_text("in the way")
        phase = session.context.training_plan.phases[0]
        session.context.model.apply_plan(phase.plan.resolve(session.context.card))
        first, data = exhausted(session.cache.inputs(phase, 2, None, "0.0"))
        again, same = exhausted(session.cache.inputs(phase, 1, None, "0.1"))
        assert of(first, ev.Computing)
        assert of(again, ev.Computing) == []
        assert same.train.activations.rows is data.train.activations.rows

    def test_only_epochs_to_come_are_expected(self, frozen, monkeypatch):
        layout = activations.Layout((1,), (1,), "float32", "float32")
        layouts = {"train": layout, "val": layout}
        monkeypatch.setattr(cost_model, "measure", lambda *_: Costs(layouts, 0, 0, True, 0, 3, 3, 1, 1, 0, 0))
        session = new_session(frozen)
        phase = replace(session.context.training_plan.phases[0], epochs=100)
        said = next(session.cache.inputs(phase, 2, None, "0.0"))
        assert (said.seconds, said.otherwise) == (63 * 3 + 2 * 36, 2 * 36 * 4)


def test_a_model_as_its_authors_wrote_it_is_left_in_the_middle(recipe):
    recipe = replace(recipe, backbone="timm/resnet10t", strategy="last_stage", image_size=64, epochs=1, cache="on")
    assert decided(told(recipe))[0].choice == "layer3"
