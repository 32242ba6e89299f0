"""A small real recipe: three colours, a random shufflenet at 40 pixels."""

from __future__ import annotations

import gc
from dataclasses import replace

import pytest
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from nbtransfer.store import runs
from tests.support.pictures import folder_of_pictures
from tests.support.runs import recipe as recipe_on


@pytest.fixture
def recipe(images):
    return recipe_on(images, max_missing=1)  # few images: the loss of one is a large share


@pytest.fixture
def paths(recipe):
    return runs.create(recipe)


@pytest.fixture(scope="session")
def lasting(tmp_path_factory):
    """The recipe on images that stay as they are, with nothing chosen by measurement: it comes to the same in every test."""
    made = recipe_on(folder_of_pictures(tmp_path_factory.mktemp("lasting") / "images"))
    return replace(made, checkpoint_every=3, cache="off", probe="sgd")


@pytest.fixture
def helpers():
    """Processes that load images may be started, and end with the test.

    Loaders are part of cycles. When one of those is collected, the pipes to the helpers may be closed before the helpers are
    told to go; then each is waited for in vain, for five seconds.
    """
    yield
    for thing in gc.get_objects():
        if type(thing) is _MultiProcessingDataLoaderIter:
            thing._shutdown_workers()


@pytest.fixture
def small(lasting):
    return lasting
