"""The types of what crosses the comm: the page has the same ones, and real widgets keep to them."""

from __future__ import annotations

import types
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest

import nbtransfer as nt
from nbtransfer.ui import messages, traits, typescript
from nbtransfer.ui.dashboard import dashboard
from tests.support.runs import carried_out


def conforms(value, hint):
    """Whether plain data are of a type that the page has too."""
    origin, args = get_origin(hint), get_args(hint)
    if is_typeddict(hint):
        return conforms_to_fields(value, get_type_hints(hint, include_extras=True))
    of_kind = {
        NotRequired: lambda: conforms(value, *args),
        Union: lambda: any(conforms(value, one) for one in args),
        types.UnionType: lambda: any(conforms(value, one) for one in args),
        Literal: lambda: value in args,
        list: lambda: isinstance(value, list) and all(conforms(one, *args) for one in value),
        tuple: lambda: len(value) == len(args) and all(map(conforms, value, args)),
        dict: lambda: all(conforms(name, args[0]) and conforms(one, args[1]) for name, one in value.items()),
    }
    if origin in of_kind:
        return of_kind[origin]()
    return hint is Any or isinstance(value, (int, float) if hint is float else hint or type(None))


def conforms_to_fields(value, hints):
    if not isinstance(value, dict):
        return False
    needed = {name for name, hint in hints.items() if get_origin(hint) is not NotRequired}
    return needed <= set(value) <= set(hints) and all(conforms(value[name], hints[name]) for name in value)


def wrong_traits(widget, hint):
    """Names of traits that do not hold what their type says."""
    return [name for name, field in get_type_hints(hint).items() if not conforms(widget.get_state(name)[name], field)]


@pytest.fixture
def run(images):
    """A finished run with two phases."""
    task = nt.Task.from_folder(images, holdout=0.25)
    recipe = nt.Recipe(
        task=task, backbone="shufflenet_v2_x0_5", weights=None, epochs=2, batch_size=8, image_size=40, device="cpu", threads=1,
    )  # fmt: skip
    return carried_out(recipe)


def test_the_types_of_the_page_are_up_to_date():
    written = typescript.TARGET.read_text(encoding="utf-8")
    assert written == typescript.declarations(), "run python -m nbtransfer.ui.typescript"


def test_widgets_hold_and_tell_what_the_types_say(run, monkeypatch):
    sent = []
    monkeypatch.setattr("nbtransfer.ui.widget.Panel.send", lambda _self, message, _buffers=None: sent.append(message))
    board, monitor, tree = dashboard(run=run), nt.RunMonitor(run), nt.LayerTree("resnet18")
    assert wrong_traits(board, traits.DashboardTraits) == []
    assert wrong_traits(monitor, traits.RunMonitorTraits) == []
    assert wrong_traits(tree, traits.LayerTreeTraits) == []
    choices = board._carry_out("snapshots", {})
    assert conforms(choices, messages.ComparisonChoices)
    board._answer({"kind": "request", "id": "1", "op": "choose", "args": {}})
    board._answer({"kind": "request", "id": "2", "op": "nonsense", "args": {}})
    board._tick()
    assert {message["kind"] for message in sent} == {"news", "reply", "beat"}
    assert all(conforms(message, messages.ToPage) for message in sent)
    board.close()


def test_an_empty_dashboard_holds_what_the_types_say():
    board = dashboard()
    assert wrong_traits(board, traits.DashboardTraits) == []
    assert set(board._operations) == set(messages.Operations.__annotations__)
    board.close()
