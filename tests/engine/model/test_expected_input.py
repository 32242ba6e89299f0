"""A model that users call says what it expects."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from nbtransfer.engine.model.expected_input import check_input
from nbtransfer.errors import InputError
from tests.support.exports import random_model
from tests.support.pictures import picture

EXPECTED = r"^the model expects float32 \(N, 3, 40, 40\) with normalised values from -2.12 to 2.64, not {}; "


@pytest.fixture(scope="module")
def model():
    return check_input(random_model("shufflenet_v2_x0_5", 40))


def test_what_preprocess_makes_is_taken(model, tmp_path):
    image = picture((200, 100, 0), 1)
    image.save(tmp_path / "x.png")
    assert model(model.preprocess([image, tmp_path / "x.png", np.asarray(image)])).shape == (3, 3)
    assert model(model.preprocess(plain(255))).isfinite().all()
    assert repr(model.preprocess).startswith("Preprocess: RGB, shorter side ")
    assert model(x=model.preprocess(image)).shape == (1, 3)


def plain(value):
    """A picture of one grey."""
    return np.full((50, 60, 3), value, np.uint8)


def test_white_and_black_are_in_range(model):
    assert model(model.preprocess([plain(0), plain(255)])).shape == (2, 3)


@pytest.mark.parametrize(
    ("x", "found"),
    [
        (torch.zeros(3, 40, 40), r"float32 \(3, 40, 40\)"),
        (torch.zeros(1, 40, 40, 3), r"float32 \(1, 40, 40, 3\)"),
        (torch.zeros(1, 1, 40, 40), r"float32 \(1, 1, 40, 40\)"),
        (torch.zeros(1, 3, 41, 40), r"float32 \(1, 3, 41, 40\)"),
        (torch.zeros(()), r"float32 \(\)"),
        (torch.zeros(1, 3, 40, 40, dtype=torch.uint8), r"uint8 \(1, 3, 40, 40\)"),
        (torch.zeros(1, 3, 40, 40, dtype=torch.float64), r"float64 \(1, 3, 40, 40\)"),
        (torch.full((1, 3, 40, 40), 255.0), "values from 255 to 255"),
        (torch.full((1, 3, 40, 40), -9.0), "values from -9 to -9"),
        (torch.full((1, 3, 40, 40), torch.nan), "values that are not finite"),
        (np.zeros((1, 3, 40, 40), np.float32), "ndarray"),
        ("an image.jpg", "str"),
        (None, "NoneType"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(model, x, found):
    with pytest.raises(InputError, match=EXPECTED.format(found) + r"prepare images with model\.preprocess\(images\)$"):
        model(x)


def test_values_that_look_as_if_not_normalised_are_noted(model):
    x = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    with pytest.warns(UserWarning, match="between 0 and 1, as if they were not normalised") as noted:
        model(x)
    assert noted[0].filename == __file__


def test_no_image_is_refused(model):
    with pytest.raises(InputError, match="there is no image to preprocess; give one or more"):
        model.preprocess([])


def test_noise_is_taken(model):
    assert model(torch.randn(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))).shape == (2, 3)


def test_no_images_give_no_logits(model):
    assert model(torch.zeros(0, 3, 40, 40)).shape == (0, 3)


def test_activations_are_not_checked(model):
    assert model(torch.full((2, model.card.width), 300.0), len(model.backbone.stages)).shape == (2, 3)


def test_a_copy_in_half_precision_expects_that(model):
    half = copy.deepcopy(model).bfloat16()
    assert half(half.preprocess(plain(9)).bfloat16()).dtype == torch.bfloat16
    with pytest.raises(InputError, match="expects bfloat16"):
        half(half.preprocess(plain(9)))


def test_it_can_be_recorded_without_values(model):
    program = torch.export.export(model, (model.preprocess(plain(9)),))
    assert torch.equal(program.module()(model.preprocess(plain(7))), model(model.preprocess(plain(7))))


def test_values_that_cannot_be_read_are_not_checked(model):
    with torch.device("meta"):
        assert copy.deepcopy(model).to("meta")(torch.empty(2, 3, 40, 40)).shape == (2, 3)
    several = torch.func.vmap(model)(model.preprocess([plain(7), plain(9)])[:, None])
    assert several.shape == (2, 1, 3)


def test_it_runs_compiled(model):
    x = model.preprocess(plain(9))
    torch.testing.assert_close(torch.compile(model, backend="eager")(x), model(x))
