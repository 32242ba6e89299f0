"""One image or many, in any form, gives the same answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import nbtransfer as nt
from nbtransfer.core import catalog
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.errors import InputError
from nbtransfer.pretrained import registry
from tests.support.inputs import BATCHES, COLLECTIONS, NO_COLLECTION, REFUSED, TAKEN
from tests.support.pictures import folder_of_pictures, picture

IMAGE = picture((200, 100, 0), 1)


@pytest.fixture(scope="module")
def model():
    card = catalog.card("shufflenet_v2_x0_5")
    made = TransferModel(registry.build(card, None).module, card, card.input.at(40), ("a", "b"))
    torch.nn.init.normal_(made.head.weight)
    return made.eval()


@pytest.fixture(autouse=True)
def user(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("user")))


def test_a_model_in_training_answers_as_ever_and_stays_as_it_is(model):
    expected = nt.predict(model, [IMAGE, IMAGE.rotate(90)])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    model.head.eval()
    assert nt.predict(model, [IMAGE, IMAGE.rotate(90)]) == expected
    assert model.training
    assert not model.head.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    model.eval()


def test_paths_images_and_arrays_are_one(model, tmp_path):
    IMAGE.save(tmp_path / "x.png")
    forms = [tmp_path / "x.png", str(tmp_path / "x.png"), IMAGE, np.asarray(IMAGE)]
    answers = [nt.predict(model, form)[0] for form in forms]
    assert len({str(a.probabilities) for a in answers}) == 1
    assert nt.predict(model, forms, batch_size=3) == answers
    assert sum(answers[0].probabilities.values()) == pytest.approx(1)
    assert answers[0].probability == max(answers[0].probabilities.values())
    assert repr(answers[0]).startswith("Answer('")


@pytest.mark.parametrize("kind", TAKEN)
def test_each_form_is_answered_like_the_image(model, kind, tmp_path):
    wanted, make = TAKEN[kind]
    assert nt.predict(model, make(IMAGE, tmp_path)) == nt.predict(model, wanted(IMAGE))


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_image_is_refused_alone_and_noted_among_others(model, kind, tmp_path):
    make, message = REFUSED[kind]
    with pytest.raises(InputError, match=message) as caught:
        nt.predict(model, make(tmp_path))
    assert len(str(caught.value).splitlines()) == 1
    answers = nt.predict(model, [IMAGE, make(tmp_path), IMAGE], batch_size=np.int64(2))
    assert answers[0] == answers[2] == nt.predict(model, IMAGE)[0]
    assert (answers[1].label, answers[1].probability, answers[1].probabilities) == (None, None, {})
    assert answers[1].problem in str(caught.value)
    assert answers.problems == [answers[1]]


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_collections_are_answered_one_by_one(model, kind):
    images = [picture((200, 100, 0), seed) for seed in range(3)]
    assert nt.predict(model, COLLECTIONS[kind](images)) == [nt.predict(model, image)[0] for image in images]


@pytest.mark.parametrize("kind", BATCHES)
def test_arrays_of_several_are_answered_one_by_one(model, kind):
    images = [picture((200, 100, 0), seed) for seed in range(3)]
    given = BATCHES[kind](np.stack([np.asarray(image) for image in images]))
    assert nt.predict(model, given) == [nt.predict(model, image)[0] for image in images]


@pytest.mark.parametrize("kind", NO_COLLECTION)
def test_collections_without_an_order_are_refused(model, kind):
    make, message = NO_COLLECTION[kind]
    with pytest.raises(InputError, match=message):
        nt.predict(model, make())


@pytest.mark.parametrize("nothing", [[], (), np.zeros((0, 40, 40, 3), np.uint8)])
def test_nothing_at_all(model, nothing):
    with pytest.raises(InputError, match="there is no image to predict; give at least one"):
        nt.predict(model, nothing)


def test_when_none_of_several_can_be_used(model):
    with pytest.raises(InputError, match=r"none of 3 images can be used: a.png: there is no such .* and 1 more"):
        nt.predict(model, ["a.png", "b.png", "c.png"])


@pytest.mark.parametrize("size", [0, 2.5, True, "many"])
def test_a_batch_size_is_a_whole_number(model, size):
    with pytest.raises(InputError, match="a whole number"):
        nt.predict(model, IMAGE, batch_size=size)


def test_folders_and_samples_are_named(model, tmp_path):
    root = folder_of_pictures(tmp_path / "images")
    task = nt.Task.from_folder(root)
    answers = nt.predict(model, task.samples, task=task)
    assert [(answer.file, answer.truth) for answer in answers] == [(s.source, task.classes[s.label]) for s in task.samples]
    assert nt.predict(model, root) == answers
    assert nt.predict(model, root)[0].file == str(root / "blue" / "00.png")


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(np.full((4, 4), 20_000, np.uint16)),
        Image.new("RGBA", (4, 4), (10, 20, 30, 0)),
        Image.new("L", (4, 4), 9),
    ],
)
def test_odd_images_mean_the_same_from_a_file_and_from_memory(model, tmp_path, image):
    image.save(tmp_path / "x.png")
    assert nt.predict(model, image) == nt.predict(model, tmp_path / "x.png")
