"""Laws of the split and of the agreement numbers, for any numbers."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from nbtransfer.attribution.agreement import agreement, overlap, spearman
from nbtransfer.attribution.evidence import change, path_attribution
from nbtransfer.attribution.spatial_cut import SpatialLayout

NUMBERS = st.floats(-100, 100, width=32)
MAPS = arrays(np.float64, (5, 6), elements=NUMBERS)
FEW = arrays(np.float64, (5, 6), elements=st.integers(-2, 2).map(float))  # many ties
FEATURES = arrays(np.float32, (1, 4), elements=NUMBERS)
WEIGHTS = arrays(np.float32, (3, 4), elements=NUMBERS)


def model(weights):
    head = nn.Linear(4, 3).requires_grad_(False)
    head.weight.copy_(torch.from_numpy(weights))
    return SimpleNamespace(head=head, linear_head=head)


@given(FEATURES, FEATURES, WEIGHTS, WEIGHTS, st.integers(0, 2))
def test_the_split_is_complete_and_turns_round(f0, f1, w0, w1, target):
    features, models = (torch.from_numpy(f0), torch.from_numpy(f1)), (model(w0), model(w1))
    there, back = change(models, features, target), change(models[::-1], features[::-1], target)
    tolerance = 1e-5 * (1 + 12 * float(np.abs([w0, w1]).max() * np.abs([f0, f1]).max()))
    assert abs(there.residual) <= tolerance
    assert back.shared == pytest.approx(-there.shared, abs=1e-9)
    assert back.head == pytest.approx(-there.head, abs=1e-9)
    corners = 0.5 * ((there.only_features - there.before) + (there.after - there.only_head))
    assert there.shared == pytest.approx(corners, abs=tolerance)


@given(FEATURES, WEIGHTS, WEIGHTS, st.integers(0, 2))
def test_who_did_not_change_has_exactly_no_part(f, w0, w1, target):
    features = torch.from_numpy(f)
    assert change((model(w0), model(w1)), (features, features), target).shared == 0
    one = model(w0)
    assert change((one, one), (features, features + 1), target).head == 0


@given(MAPS, MAPS)
def test_spearman_is_symmetric_and_keeps_to_its_range(a, b):
    found = spearman(a, b)
    assert math.isnan(found) or -1 <= found <= 1
    assert found == pytest.approx(spearman(b, a), nan_ok=True)
    assert spearman(a, -b) == pytest.approx(-found, nan_ok=True)


@given(FEW, FEW)
def test_ties_share_their_mean_rank(a, b):
    """Against a definition that is slow and plain."""
    x, y = (np.array([(v < u).sum() + ((v == u).sum() - 1) / 2 for u in v.ravel()]) for v in (a, b))
    if x.std() == 0 or y.std() == 0:
        assert math.isnan(spearman(a, b))
    else:
        assert spearman(a, b) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-12)


@given(MAPS)
def test_a_map_agrees_with_itself_on_any_scale(a):
    found = agreement(a, 3 * a)
    assert math.isnan(found.spearman) == (np.ptp(a) == 0)
    assert math.isnan(found.overlap) == (a.max() <= 0)
    assert math.isnan(found.spearman) or found.spearman == pytest.approx(1)
    assert math.isnan(found.overlap) or found.overlap == 1


@given(MAPS, MAPS)
def test_overlap_is_a_share(a, b):
    found = overlap(a, b)
    assert found == pytest.approx(overlap(b, a), nan_ok=True)
    assert math.isnan(found) or 0 <= found <= 1


def test_overlap_counts_the_tenth_that_speaks_for_the_class():
    a, b = np.zeros((10, 10)), np.zeros((10, 10))
    a[0], b[0, :5], b[1, :5] = 1, 1, 1
    b[2] = -5
    assert overlap(a, b) == 5 / 15


@given(arrays(np.float64, (4, 3), elements=NUMBERS), arrays(np.float64, 3, elements=NUMBERS), st.integers(1, 3))
def test_paths_of_polynomials_are_exact(weights, end, power):
    """Gauss–Legendre points integrate them without error: the sum is f(end) − f(start)."""
    matrix, start = torch.from_numpy(weights), torch.ones(1, 3, dtype=torch.float64)

    def tail(a):
        return (a @ matrix.T) ** power

    goal = torch.from_numpy(end)[None]
    found = path_attribution(tail, start, goal, torch.eye(4, dtype=torch.float64))
    expected = (tail(goal) - tail(start))[0]
    assert torch.allclose(found.sum(1), expected, rtol=1e-9, atol=1e-9 * (1 + expected.abs().max().item() + 1e6))


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((1, 512, 7, 7), SpatialLayout("NCHW", 7, 7)),
        ((1, 7, 7, 768), SpatialLayout("NHWC", 7, 7)),
        ((1, 8, 8, 8), SpatialLayout("NCHW", 8, 8)),
        ((1, 50, 768), SpatialLayout("tokens", 7, 7, 1)),
        ((1, 196, 384), SpatialLayout("tokens", 14, 14)),
        ((1, 201, 384), SpatialLayout("tokens", 14, 14, 5)),
        ((1, 512, 1, 1), None),
        ((1, 2, 768), None),
        ((1, 1000), None),
    ],
)
def test_layouts_are_told_from_shapes(shape, layout):
    assert SpatialLayout.of(torch.Size(shape)) == layout


@pytest.mark.parametrize("shape", [(2, 5, 3, 4), (2, 3, 4, 5)])
def test_positions_keep_their_order(shape):
    layout = SpatialLayout("NCHW" if shape[1] == 5 else "NHWC", 3, 4)
    values = torch.arange(3 * 4 * 5.0).reshape(3, 4, 5)
    given_ = torch.stack([values, values])
    positions = layout.positions(given_.permute(0, 3, 1, 2) if layout.kind == "NCHW" else given_)
    assert positions.shape == (2, 12, 5)
    assert torch.equal(layout.grid(positions[0, :, 0]), values[:, :, 0])
