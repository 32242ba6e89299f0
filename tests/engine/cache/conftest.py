from __future__ import annotations

from dataclasses import replace

import pytest

from nbtransfer.core.freeze import FreezePlan


@pytest.fixture
def frozen(recipe):
    """Everything but the last stage is frozen; the activations of the stage before are kept."""
    return replace(recipe, freeze=FreezePlan.up_to("shufflenet_v2_x0_5", "stage4"), cache="on", fold=False, augment=("flip",))
