"""What is shown is what will run: tree, phases and recipe say the same after any row of choices, made anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nbtransfer as nt
from nbtransfer.core.tree import frozen_in, rates_in, tree
from nbtransfer.errors import InputError
from nbtransfer.jobs.draft import Draft

BACKBONES = ("resnet18", "shufflenet_v2_x0_5", "vit_b_16")


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    from tests.support.pictures import folder_of_pictures

    return nt.Task.from_folder(folder_of_pictures(tmp_path_factory.mktemp("shown") / "images"), holdout=0.25)


def edits():
    """One change: in the form, in the tree, by a magic, or taken back."""
    share = st.floats(0, 1)
    typed = {"epochs": st.sampled_from("27"), "lr": st.sampled_from(("0,01", None))}
    return st.one_of(
        st.tuples(st.just("choose"), st.fixed_dictionaries({"strategy": st.sampled_from(("lp", "last_stage", "lp_ft", "ft"))})),
        st.tuples(st.just("choose"), st.fixed_dictionaries({"backbone": st.sampled_from(BACKBONES)})),
        st.tuples(st.just("choose"), st.fixed_dictionaries(typed)),
        st.tuples(st.just("tick"), st.lists(share, max_size=4)),
        st.tuples(st.just("freeze"), share),
        st.tuples(st.just("thaw"), st.tuples(share, st.sampled_from((None, 0.1, 1.0)))),
        st.tuples(st.just("undo"), st.none()),
    )  # fmt: skip


def node(draft, share):
    nodes = tree(draft.card)
    return nodes[min(int(share * len(nodes)), len(nodes) - 1)]


def carry_out(board, draft, kind, what):
    if kind == "choose":
        board.choose(**what)
    elif kind == "tick":
        board.frozen = list(dict.fromkeys(node(draft, share).id for share in what))
    elif kind == "freeze":
        draft.choose(freeze=draft.plan.freeze(node(draft, what).pattern))
    elif kind == "thaw":
        draft.choose(freeze=draft.plan.thaw(node(draft, what[0]).pattern, lr=what[1]))
    elif draft.changed:
        board.undo()
    else:
        with pytest.raises(InputError, match="nothing to undo"):
            board.undo()
    board.tick()


@settings(max_examples=12)
@given(rows=st.lists(edits(), min_size=1, max_size=8))
def test_tree_phases_and_recipe_agree(task, rows):
    draft = Draft(task)
    board = nt.dashboard(draft=draft)
    try:
        for kind, what in rows:
            carry_out(board, draft, kind, what)
            recipe = draft.recipe()
            phases = recipe.resolved(draft.card).phases
            assert board.problem == ""
            assert board.card["name"] == recipe.backbone
            assert board.frozen_layers == frozen_in(draft.card, phases[-1].plan)
            assert board.rates == rates_in(draft.card, phases[-1].plan)
            assert [shown["name"] for shown in board.phases] == [phase.name for phase in phases]
            assert [shown["epochs"] for shown in board.phases] == [phase.epochs for phase in phases]
            assert [shown["learns"] for shown in board.phases] == [str(phase.plan.summary(draft.card)) for phase in phases]
            assert [shown["solver"] for shown in board.phases] == [recipe.solver(phase, draft.card) for phase in phases]
            assert (board.settings["strategy"], board.settings["epochs"], board.settings["lr"]) == (
                recipe.strategy_name,
                recipe.epochs,
                recipe.lr,
            )
    finally:
        board.close()


def test_a_plan_that_a_strategy_replaced_comes_back(task):
    draft = Draft(task)
    board = nt.dashboard(draft=draft)
    board.choose(strategy="ft")
    board.frozen = ["layer1", "layer2.0"]
    board.choose(strategy="last_stage")
    assert board.past == {"undo": True, "dropped_plan": True}
    assert board.frozen_layers != frozen_in(draft.card, nt.FreezePlan.none().freeze("layer1", "layer2.0"))
    board.undo()
    assert board.settings["strategy"] == "ft"
    assert board.frozen_layers == frozen_in(draft.card, nt.FreezePlan.none().freeze("layer1", "layer2.0"))
    assert not board.past["dropped_plan"]
    board.close()
