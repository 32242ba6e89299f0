"""Settings may be NumPy's numbers, or arrays and tensors of one number."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import nbtransfer as nt
from nbtransfer.core.codec import dumps, to_plain
from nbtransfer.core.scalars import plain
from nbtransfer.errors import PlanError, RecipeError
from tests.support.folders import recipe


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (np.int64(3), 3), (np.uint8(3), 3), (np.float64(0.5), 0.5), (np.float32(0.5), 0.5), (np.float16(0.5), 0.5),
        (np.longdouble(0.5), 0.5), (np.bool_(True), True), (np.str_("a"), "a"), (np.array(3), 3), (torch.tensor(0.5), 0.5),
        (3, 3), ("a", "a"), (None, None), ([1], [1]),
    ],
)  # fmt: skip
def test_a_scalar_is_what_it_holds(value, wanted):
    found = plain(value)
    assert found == wanted
    assert type(found) is type(wanted)


def test_a_recipe_takes_them():
    given = recipe(
        epochs=np.int64(3), lr=np.float64(0.5), batch_size=np.array(8), label_smoothing=np.float32(0.25), seed=torch.tensor(7),
        fold=np.bool_(False), title=np.str_("mine"), views=np.int16(4),
    )  # fmt: skip
    same = recipe(epochs=3, lr=0.5, batch_size=8, label_smoothing=0.25, seed=7, fold=False, title="mine", views=4)
    assert given == same
    assert json.loads(dumps(to_plain(given))) == json.loads(dumps(to_plain(same)))


@pytest.mark.parametrize("value", [np.array([3, 4]), np.float64(2.5), np.bool_(True), np.nan])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(RecipeError, match=r"epochs is .*; use a whole number from 1 to 1,000,000"):
        recipe(epochs=value)


def test_plans_and_phases_take_them():
    plan = nt.FreezePlan.all().thaw("layer4", lr=np.float32(0.5))
    assert plan == nt.FreezePlan.all().thaw("layer4", lr=0.5)
    assert nt.Phase("ft", plan, np.int64(2), lr=np.float64(0.1)) == nt.Phase("ft", plan, 2, lr=0.1)
    with pytest.raises(PlanError, match=r"epochs should be a whole number, not 2\.5"):
        nt.Phase("ft", plan, np.float64(2.5))
