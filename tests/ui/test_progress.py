"""Progress as text."""

from __future__ import annotations

import io

import pytest

from nbtransfer.core import events as ev
from nbtransfer.core.state import RunState
from nbtransfer.magics import progress as in_a_notebook
from nbtransfer.ui import progress


class Shown:
    """A run that has been seen in some states."""

    id = "20260101-000000-0"

    def __init__(self, *states):
        self.states = states

    @property
    def verdict(self):
        return self.states[-1].headline

    def follow(self, timeout=None):
        for number, state in enumerate(self.states, 1):
            yield state, number == len(self.states)


class Terminal(io.StringIO):
    def isatty(self):
        return True


STATES = [
    RunState(),
    RunState(status="running", phase="lp", computing=ev.Computing("layer4", 4, 16, 30.0)),
    *(RunState(status=status, phase="ft") for status in ("running", "stalled", "paused", "finished")),
]


@pytest.fixture(params=["terminal", "notebook"])
def shown(request, capsys):
    if request.param == "terminal":
        stream = Terminal()
        progress.watch(Shown(*STATES), stream=stream)
        return stream.getvalue()
    in_a_notebook.watch(Shown(*STATES), None)
    return capsys.readouterr().out


def test_what_it_does_is_said_also_when_that_is_nothing(shown):
    said = ("created", "lp, computing activations of layer4 (25%)", "ft", "stalled", "paused", "finished")
    places = [shown.index(words) for words in said]
    assert places == sorted(places)


def test_where_nothing_can_be_written_over_it_is_said_once_that_features_are_computed():
    stream, going_on = io.StringIO(), RunState(status="running", phase="lp", computing=ev.Computing("layer4", 8, 16, 30.0))
    progress.watch(Shown(STATES[1], going_on, STATES[-1]), "probe", stream=stream)
    assert stream.getvalue() == "probe: lp, computing the activations of layer4 once for all epochs\n"
