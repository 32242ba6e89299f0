"""A finished run to compare."""

from __future__ import annotations

import pytest

import nbtransfer as nt
from tests.support.runs import carried_out


@pytest.fixture
def lp_ft(images):
    """A probe, then fine-tuning of the last stage, of three colours at 40 pixels; carried out in this process."""
    task = nt.Task.from_folder(images, holdout=0.25, test=0.25)
    recipe = nt.Recipe(
        task=task, backbone="shufflenet_v2_x0_5", weights=None, strategy="lp_ft", freeze=nt.FreezePlan.all().thaw("conv5"),
        epochs=4, batch_size=8, image_size=40, device="cpu", precision="fp32", threads=1,
        probe="sgd",  # a head that is solved for leaves nothing to learn here
    )  # fmt: skip
    return carried_out(recipe)
