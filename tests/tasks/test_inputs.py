"""Each form of an image is taken for what it is, or refused in one sentence."""

from __future__ import annotations

import numpy as np
import pytest

import nbtransfer as nt
from nbtransfer.core.task import Reading
from nbtransfer.errors import InputError
from nbtransfer.tasks.decode import to_rgb
from nbtransfer.tasks.inputs import InputReader, refusal
from tests.support.inputs import BATCHES, COLLECTIONS, NO_COLLECTION, REFUSED, TAKEN
from tests.support.pictures import folder_of_pictures, picture

IMAGE = picture((200, 100, 30), 1)


@pytest.fixture(autouse=True)
def user(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("user")))


def read(given, task=None):
    return {image.name: np.asarray(image.rgb()) for image in InputReader(task).images(given)}


def complaint(given):
    """The sentence about one thing that is no image."""
    try:
        [image] = InputReader().images(given)
    except InputError as error:
        return str(error)
    with pytest.raises(InputError) as caught:
        image.rgb()
    return refusal(image.name, caught.value)


def same(found, wanted):
    return np.array_equal(found, np.asarray(to_rgb(wanted)))


@pytest.mark.parametrize("kind", TAKEN)
def test_each_form_has_the_pixels_of_the_image(kind, tmp_path):
    wanted, make = TAKEN[kind]
    for given in (make(IMAGE, tmp_path), [make(IMAGE, tmp_path)]):
        [found] = read(given).values()
        assert same(found, wanted(IMAGE))


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_image_is_refused_in_one_sentence(kind, tmp_path):
    make, message = REFUSED[kind]
    text = complaint(make(tmp_path))
    with pytest.raises(InputError, match=message):
        raise InputError(text)
    assert len(text.splitlines()) == 1
    assert len(text) < 400


@pytest.mark.parametrize("kind", NO_COLLECTION)
def test_collections_without_an_order_are_refused(kind):
    make, message = NO_COLLECTION[kind]
    with pytest.raises(InputError, match=message):
        read(make())


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_collections_of_paths_and_images(kind, tmp_path):
    paths = sorted(folder_of_pictures(tmp_path / "images").rglob("*.png"))[:3]
    found = read(COLLECTIONS[kind]([str(paths[0]), paths[1], paths[2].read_bytes(), IMAGE, np.asarray(IMAGE)]))
    assert list(found) == [str(paths[0]), str(paths[1]), "image 2", "image 3", "image 4"]
    assert same(found["image 4"], IMAGE)


@pytest.mark.parametrize("kind", BATCHES)
def test_several_images_in_one_array(kind):
    images = np.stack([np.asarray(picture((200, 100, 30), seed)) for seed in range(5)])
    found = list(read(BATCHES[kind](images)).items())
    assert [name for name, _ in found] == [f"image {number}" for number in range(5)]
    assert all(np.array_equal(one, wanted) for (_, one), wanted in zip(found, images, strict=True))


def test_several_images_in_an_array_of_a_list():
    batch = np.stack([np.asarray(IMAGE)] * 2)
    assert list(read([IMAGE, batch])) == ["image 0", "image 1[0]", "image 1[1]"]


@pytest.mark.parametrize("shape", [(40, 40), (40, 40, 3)], ids=["grey", "colour"])
class TestWideArrays:
    def read(self, values, white=65_535):
        return [np.asarray(image.rgb()) for image in InputReader(reading=Reading(white)).images(values)]

    def test_are_read_by_the_white_of_the_task(self, shape):
        [found] = self.read(np.full(shape, 4095, np.uint16), 4095)
        assert found.min() == 255

    def test_that_would_be_nearly_black_are_refused(self, shape):
        with pytest.raises(
            InputError, match=r"reach only 200 of the 4,095 .* nearly black; divide it by .*, or convert it to 8 bits"
        ):
            self.read(np.full(shape, 200, np.uint16), 4095)

    def test_may_be_black_or_dark_beside_others(self, shape):
        [black] = self.read(np.zeros(shape, np.uint16))
        several = np.stack([np.full(shape, value, np.uint16) for value in (257, 65_535)])
        batch = several[..., None] if len(shape) == 2 else several
        assert [image.max() for image in (black, *self.read(batch))] == [0, 1, 255]


def test_half_precision_of_another_kind():
    import torch

    values = torch.from_numpy(np.array(IMAGE)).permute(2, 0, 1) / 255
    [found] = read(values.to(torch.bfloat16)).values()
    assert np.abs(found.astype(int) - np.asarray(IMAGE)).max() <= 1


def test_a_folder_holds_images_in_the_order_of_their_paths(tmp_path):
    root = folder_of_pictures(tmp_path / "images")
    (root / "red" / "notes.txt").write_text("x")
    (root / ".hidden").mkdir()
    IMAGE.save(root / ".hidden" / "x.png")
    names = list(read(root))
    assert len(names) == 36
    assert names == sorted(names)
    assert names[0] == str(root / "blue" / "00.png")
    assert list(read([str(root / "red"), IMAGE]))[-2:] == [str(root / "red" / "11.png"), "image 1"]


class TestSamples:
    def test_come_with_their_class(self, images):
        task = nt.Task.from_folder(images)
        [given] = InputReader(task).images(task.samples[-1])
        assert (given.name, given.truth) == ("red/11.png", "red")
        assert same(np.asarray(given.rgb()), task.image(task.samples[-1]))

    def test_of_another_split_are_the_same(self, images):
        one, other = (nt.Task.from_folder(images, seed=seed) for seed in (0, 1))
        assert len(read(other.samples, one)) == 36

    def test_need_their_task(self, images, tmp_path):
        task = nt.Task.from_folder(images)
        assert "which only its task can read" in complaint(task.samples[0])
        other = nt.Task.from_folder(folder_of_pictures(tmp_path / "other", size=48))
        with pytest.raises(InputError, match=r"blue/00.png cannot be used: it is not a sample of 'other'"):
            read(task.samples[0], other)
        with pytest.raises(InputError, match="this is a task; give its samples"):
            read(task)


def test_a_table_is_not_a_column():
    class Table:
        columns, iloc = ("file",), None

    with pytest.raises(InputError, match="this is a table; give its column"):
        read(Table())
