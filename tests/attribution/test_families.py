"""What must hold for every family, whatever its layout and whatever stands between its last stage and the head."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from nbtransfer.attribution.compare import compare
from nbtransfer.engine.model.freezing import digest
from tests.support.families import SIZES, SMALLEST

# Where evidence is looked at, and whether its map is exact there (averaging and one linear layer follow).
CUTS = {
    "alexnet": ("conv4", False),  # 64 pixels leave one position after the last pooling
    "convnext_tiny": ("stage4", False),
    "inception_v3": ("mixed6", False),  # 96 pixels leave one position at the end
    "maxvit_t": ("block4", False),
    "mobilenet_v3_small": ("conv_head", False),
    "tiny_vit": ("block2", False),
    "vit_b_32": ("block11", False),  # the features read nothing but the class token of the last block
    "timm/mobilenetv3_small_050": ("blocks.5", False),
    "timm/convnext_atto": ("stages.3", False),
    "timm/vit_tiny_patch16_224": ("blocks.10", False),
    "timm/pit_ti_224": ("transformers.2.blocks.2", False),
}
"""All others are exact, at their last stage."""


pytestmark = pytest.mark.usefixtures("without_input_attributions")


def finding(trio, before, after, target=0):
    return compare(before, after, trio.pixels, [target])[0]


def test_the_change_is_split_without_a_rest(trio):
    change = trio.changed.change
    assert abs(change.total) > 1e-3
    assert abs(change.shared) > 1e-6
    assert abs(change.residual) <= 1e-5 * max(1, abs(change.shared), abs(change.head), abs(change.after))


def test_evidence_is_found_where_it_should_be(trio):
    found = trio.changed
    expected = CUTS.get(trio.name, (trio.before.backbone.stages[-1], True))
    if expected is None:
        assert found.evidence is None
        assert trio.name in found.note
        return
    assert (found.evidence.cut, found.evidence.exact) == expected
    assert np.prod(found.evidence.grid) > 1
    assert found.evidence.after.map.std() > 0


def test_maps_add_up_to_the_evidence(trio):
    evidence = trio.changed.evidence
    if evidence is None:
        return
    scale = max(1.0, *(abs(part.value) for part in evidence.parts.values()))
    for name, part in evidence.parts.items():
        assert abs(part.residual) <= (1e-5 if evidence.exact else 0.02) * scale, name
    change = evidence.after.map - evidence.before.map
    assert np.allclose(evidence.shared.map + evidence.head.map, change, rtol=0, atol=1e-9 * np.abs(change).max())


def test_frozen_shared_layers_have_exactly_no_part_in_the_change(trio):
    found = finding(trio, trio.before, trio.frozen)
    assert found.change.shared == 0
    assert found.change.head != 0
    assert all(stage.bitwise_equal and stage.distance == 0 for stage in found.drift)
    if found.evidence is not None:
        shared = found.evidence.shared
        assert not shared.map.any()
        assert (shared.tokens, shared.offset, shared.value) == (0, 0, 0)
        assert found.evidence.head.map.any()


def test_one_changed_bit_is_enough_to_be_seen(trio):
    """A single parameter of the last stage with parameters: stages before it are bitwise equal, what comes after is not."""
    other = copy.deepcopy(trio.before)
    layer = [layer for layer in trio.before.card.layers if layer.params][-1]
    with torch.no_grad():
        for parameter in other.parameters_of(layer.name):
            parameter.mul_(1.5).add_(0.1)
    drift = {stage.stage: stage.bitwise_equal for stage in finding(trio, trio.before, other).drift}
    stages = trio.before.card.stages
    assert all(drift[stage] for stage in stages[: stages.index(layer.stage)] if stage in drift)
    assert not drift["features"]


def test_statistics_that_moved_count_as_shared(trio):
    """Normalisation left in training mode: no parameter learned, and yet the features changed."""
    layers = [layer for layer in trio.before.card.layers if layer.keeps_statistics]
    if not layers:
        return
    other = copy.deepcopy(trio.before)
    with torch.no_grad():
        other.backbone.net.get_submodule(layers[-1].name).running_mean.add_(0.5)
    found = finding(trio, trio.before, other)
    assert found.change.shared != 0
    assert found.change.head == 0
    assert not found.drift[-1].bitwise_equal


def test_both_models_are_left_as_they_were(trio):
    _ = trio.changed
    assert trio.kept
    for model in (trio.before, trio.after):
        assert digest(model.state_dict().values()) == trio.digests[model]
        assert not any(module.training for module in model.backbone.modules())
        assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
        assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


def test_every_family_is_here():
    assert set(CUTS) <= set(SIZES)
    assert set(SMALLEST) <= set(SIZES)
