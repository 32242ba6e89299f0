"""A small real recipe: three colours, a random shufflenet at 40 pixels."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nbtransfer.store import runs
from tests.support.pictures import folder_of_pictures
from tests.support.runs import recipe as recipe_on


@pytest.fixture
def recipe(images):
    return recipe_on(images)


@pytest.fixture
def paths(recipe):
    return runs.create(recipe)


@pytest.fixture(scope="session")
def lasting(tmp_path_factory):
    """The recipe on images that stay as they are, with nothing chosen by measurement: it comes to the same in every test."""
    made = recipe_on(folder_of_pictures(tmp_path_factory.mktemp("lasting") / "images"))
    return replace(made, checkpoint_every=3, cache="off", probe="sgd")


@pytest.fixture
def small(lasting):
    return lasting
