import pytest

import nbtransfer as nt
from nbtransfer.store import runs


@pytest.fixture
def recipe(images):
    """A small real recipe: three colours, a random shufflenet at 40 pixels."""
    return nt.Recipe(
        task=nt.Task.from_folder(images, holdout=0.25),
        backbone="shufflenet_v2_x0_5",
        weights=None,
        strategy="ft",
        epochs=2,
        batch_size=8,
        image_size=40,
        device="cpu",
        precision="fp32",
        threads=1,
    )


@pytest.fixture
def paths(recipe):
    return runs.create(recipe)
