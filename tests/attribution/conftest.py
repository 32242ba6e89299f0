"""Pairs of models of every family, with random weights."""

from __future__ import annotations

import numpy as np
import pytest

from nbtransfer.attribution import compare as comparing
from nbtransfer.attribution.findings import InputMap
from tests.support.families import each
from tests.support.trios import Trio


@pytest.fixture(scope="module", params=each())
def trio(request):
    return Trio(request.param)


@pytest.fixture
def without_input_attributions(monkeypatch):
    """They take most of the time and are the same for all families; test_inputs has them."""
    nothing = InputMap(np.zeros((2, 2)), 0.0, 0)
    monkeypatch.setattr(comparing, "input_maps", lambda *_: (nothing, nothing))
    monkeypatch.setattr(comparing, "integrated_gradients", lambda *_: nothing)
