"""Tasks from images in memory take every form that predict takes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import nbtransfer as nt
from nbtransfer.errors import TaskError
from nbtransfer.tasks.decode import to_rgb
from nbtransfer.tasks.stack import stack_of
from tests.support.inputs import BATCHES, COLLECTIONS, REFUSED, TAKEN
from tests.support.pictures import picture

IMAGES = [picture((200, 100, 30), seed) for seed in range(5)]
PIXELS = np.stack([np.asarray(image) for image in IMAGES])


@pytest.fixture(autouse=True)
def user(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("user")))


def as_rgb(stack):
    return [np.asarray(Image.fromarray(one[..., 0] if one.shape[-1] == 1 else one).convert("RGB")) for one in stack]


@pytest.mark.parametrize("kind", TAKEN)
def test_lists_of_each_form(kind, tmp_path):
    wanted, make = TAKEN[kind]
    folders = [tmp_path / str(number) for number in range(2)]
    for folder in folders:
        folder.mkdir()
    found = stack_of([make(image, folder) for image, folder in zip(IMAGES[:1] * 2, folders, strict=True)])
    assert found.dtype == np.uint8
    assert all(np.array_equal(one, np.asarray(to_rgb(wanted(IMAGES[0])))) for one in as_rgb(found))


@pytest.mark.parametrize("kind", BATCHES)
def test_arrays_of_several(kind):
    if kind == "list of arrays (1, H, W, 3)":
        with pytest.raises(TaskError, match=r"its shape is \(5, 1, 40, 40, 3\); give \(N, H, W, C\)"):
            stack_of(BATCHES[kind](PIXELS))
    else:
        assert np.array_equal(stack_of(BATCHES[kind](PIXELS)), PIXELS)


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_collections(kind):
    assert np.array_equal(stack_of(COLLECTIONS[kind](IMAGES)), PIXELS)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_names_the_image(kind, tmp_path):
    make, message = REFUSED[kind]
    with pytest.raises(TaskError, match=message) as caught:
        stack_of([IMAGES[0], make(tmp_path)])
    assert len(str(caught.value).splitlines()) == 1


def test_grey_arrays_need_no_axis_for_channels():
    grey = PIXELS[..., 0]
    assert np.array_equal(stack_of(grey), grey[..., None])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (PIXELS[0], "may be one row of pixels"),
        (np.moveaxis(PIXELS[0], -1, 0), r"\(3, 40, 40\) is that of one image; give \(N, H, W, C\)"),
        (PIXELS.astype(np.uint16), "its 16-bit values reach only 2.. of 65,535"),
        ([IMAGES[0], IMAGES[1].resize((50, 30))], "of several sizes, such as 40 × 40 and 50 × 30 pixels; resize them"),
        ([], "there are no images; give at least two of each class"),
        (None, "it is None, not an image"),
        (3, "it is an int, not an image"),
    ],
)
def test_what_is_no_stack_of_images(x, message):
    with pytest.raises(TaskError, match=message):
        nt.Task.from_arrays(x, np.arange(5) % 2)


class TestLabels:
    def test_a_column_of_names_or_numbers(self):
        names = np.array(["b", "a", "b", "a", "a"], dtype=object)
        task = nt.Task.from_arrays(PIXELS, names)
        assert (task.classes, [s.label for s in task.samples]) == (("a", "b"), [1, 0, 1, 0, 0])
        numbers = np.array([np.int64(1), 0, 1, 0, 0], dtype=object)
        assert nt.Task.from_arrays(PIXELS, numbers, classes=np.array(["a", "b"])).digest == task.digest

    def test_a_label_that_is_missing(self):
        labels = np.array(["b", "a", None, "a", float("nan")], dtype=object)
        with pytest.raises(TaskError, match="the label of image 2 is None; labels should be whole numbers or names"):
            nt.Task.from_arrays(PIXELS, labels)

    def test_shares_may_be_numpy_scalars(self):
        labels = np.arange(5) % 2
        one = nt.Task.from_arrays(PIXELS, labels, holdout=np.float32(0.4), seed=np.int64(1))
        assert one == nt.Task.from_arrays(PIXELS, labels, holdout=0.4, seed=1)
