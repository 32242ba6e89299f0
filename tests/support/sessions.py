"""Attempts that a test carries out piece by piece."""

from __future__ import annotations

from nbtransfer.core.repeat import Repeat
from nbtransfer.core.state import RunState
from nbtransfer.engine.control import Unattended
from nbtransfer.engine.session import Session
from nbtransfer.engine.setup import set_up
from nbtransfer.store import runs


def new_session(recipe, paths=None, control=None):
    """The first attempt of a recipe, before its first phase; in a new run folder unless one is given."""
    past = RunState()
    return Session(set_up(recipe, paths or runs.create(recipe), control or Unattended(), past, Repeat()), past)
