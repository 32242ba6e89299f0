"""One image or many, in any form, gives the same answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import nbtransfer as nt
from nbtransfer.core import catalog
from nbtransfer.engine.data.open_images import open_image
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.errors import InputError
from nbtransfer.pretrained import registry
from tests.support.pictures import picture


@pytest.fixture(scope="module")
def model():
    card = catalog.card("shufflenet_v2_x0_5")
    made = TransferModel(registry.build(card, None).module, card, card.input.at(40), ("a", "b"))
    torch.nn.init.normal_(made.head.weight)
    return made.eval()


def test_paths_images_and_arrays_are_one(model, tmp_path):
    image = picture((200, 100, 0), 1)
    image.save(tmp_path / "x.png")
    forms = [tmp_path / "x.png", str(tmp_path / "x.png"), image, np.asarray(image)]
    answers = [nt.predict(model, form)[0] for form in forms]
    assert len({str(a.probabilities) for a in answers}) == 1
    assert nt.predict(model, forms, batch_size=3) == answers
    assert sum(answers[0].probabilities.values()) == pytest.approx(1)
    assert answers[0].probability == max(answers[0].probabilities.values())
    assert repr(answers[0]).startswith("Answer('")


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(np.full((4, 4), 20_000, np.uint16)),
        Image.new("RGBA", (4, 4), (10, 20, 30, 0)),
        Image.new("L", (4, 4), 9),
    ],
)
def test_odd_images_mean_the_same_from_a_file_and_from_memory(tmp_path, image):
    image.save(tmp_path / "x.png")
    assert np.array_equal(np.asarray(open_image(image)), np.asarray(open_image(tmp_path / "x.png")))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("nowhere.png", "nowhere.png cannot be used: it is gone"),
        (np.zeros((4, 4, 3)), r"a uint8 array \(H, W, 3\), not float64"),
        (np.zeros((4, 4, 2), np.uint8), "not uint8"),
        (Image.fromarray(np.zeros((4, 4), np.float32)), "the image cannot be used: it has floating-point values"),
    ],
)
def test_what_cannot_be_used_is_named(model, image, message):
    with pytest.raises(InputError, match=message):
        nt.predict(model, [image])
