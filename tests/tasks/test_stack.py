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
    found = stack_of([make(image, folder) for image, folder in zip(IMAGES[:1] * 2, folders, strict=True)]).images
    assert found.dtype == np.uint8
    assert all(np.array_equal(one, np.asarray(to_rgb(wanted(IMAGES[0])))) for one in as_rgb(found))


@pytest.mark.parametrize("kind", BATCHES)
def test_arrays_of_several(kind):
    if kind == "list of arrays (1, H, W, 3)":
        with pytest.raises(TaskError, match=r"its shape is \(5, 1, 40, 40, 3\); give \(N, H, W, C\)"):
            stack_of(BATCHES[kind](PIXELS))
    else:
        assert np.array_equal(stack_of(BATCHES[kind](PIXELS)).images, PIXELS)


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_collections(kind):
    assert np.array_equal(stack_of(COLLECTIONS[kind](IMAGES)).images, PIXELS)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_names_the_image(kind, tmp_path):
    make, message = REFUSED[kind]
    with pytest.raises(TaskError, match=message) as caught:
        stack_of([IMAGES[0], make(tmp_path)])
    assert len(str(caught.value).splitlines()) == 1


def test_grey_arrays_need_no_axis_for_channels():
    grey = PIXELS[..., 0]
    assert np.array_equal(stack_of(grey).images, grey[..., None])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (PIXELS[0], r"\(40, 40, 3\) is that of one image; give \(N, H, W, C\)"),
        (np.moveaxis(PIXELS[0], -1, 0), r"\(3, 40, 40\) is that of one image; give \(N, H, W, C\)"),
        (PIXELS[:, :3, :, 0], r"each image in its shape \(5, 3, 40\) may be one row of pixels .*; give \(N, H, W, C\) or"),
        (np.moveaxis(PIXELS, 0, -1), r"\(40, 40, 3, 5\) has no axis for 1, 3 or 4 channels, second or last; give \(N, H"),
        (PIXELS[:, :3], r"\(5, 3, 40, 3\) can be read in two ways: both the second .*; give a list of PIL images instead"),
        (
            np.zeros((5, 40, 40), np.uint16) + 7,
            "values reach only 7 of the 255 that is read as white, so it would be nearly bl",
        ),
        (PIXELS.astype(int), r"if they are in 0…255, use \.astype\('uint8'\)"),
        (PIXELS.astype(int).tolist(), r"if they are in 0…255, use np\.array\(…, 'uint8'\)"),
        (np.zeros((5, 900, 4, 3), np.uint8), "one side is more than 100 times the other; use max_aspect=225 when the task is"),
        ({"images": PIXELS}, r"x is a dict; give the array itself, such as x=d\['images'\]"),
        ([IMAGES[0], IMAGES[1].resize((50, 30))], "of several sizes, such as 40 × 40 and 50 × 30 pixels; resize them"),
        ([], "there are no images; give at least two of each class"),
        (None, "it is None, not an image"),
        (3, "it is an int, not an image"),
    ],
)
def test_what_is_no_stack_of_images(x, message):
    with pytest.raises(TaskError, match=message):
        nt.Task.from_arrays(x, np.arange(5) % 2)


def wide(values, bits):
    """The same pixels with white at the largest value of so many bits."""
    return (values * ((2**bits - 1) / 255)).round().astype(np.uint16)


class TestWhite:
    labels = np.arange(5) % 2

    @pytest.mark.parametrize("bits", [8, 10, 12, 14])
    @pytest.mark.parametrize("axes", [(..., 0), (...,)], ids=["grey", "colour"])
    def test_is_measured_over_the_array(self, bits, axes):
        bright = PIXELS.copy()
        bright[0, 0, 0] = 255
        task = nt.Task.from_arrays(wide(bright[axes], bits), self.labels)
        assert task.reading.white_level == 2**bits - 1
        assert any(f"{2**bits - 1:,} is read as white; white_level=65535 keeps" in note for note in task.notes)
        assert np.array_equal(stack_of(wide(bright[axes], bits)).images, stack_of(bright[axes]).images)

    def test_may_be_given(self):
        whole = nt.Task.from_arrays(wide(PIXELS, 12), self.labels, white_level=65_535)
        assert (whole.reading.white_level, whole.notes) == (65_535, ())
        assert nt.Task.from_arrays(wide(PIXELS, 12), self.labels, white_level=4_095).reading.white_level == 4_095

    def test_is_measured_over_a_list(self, tmp_path):
        grey = PIXELS[..., 0].copy()
        grey[0, 0, 0] = 255
        Image.fromarray(wide(grey[0], 12)).save(tmp_path / "0.png")
        x = [tmp_path / "0.png", (tmp_path / "0.png").read_bytes(), *map(Image.fromarray, wide(grey[2:], 12))]
        assert stack_of(x).reading.white_level == 4_095
        assert np.array_equal(stack_of(x).images[4, ..., 0], grey[4])

    def test_is_measured_over_long_images(self, tmp_path):
        Image.fromarray(np.full((20, 3000), 4_000, np.uint16)).save(tmp_path / "x.png")
        found = stack_of([tmp_path / "x.png", (tmp_path / "x.png").read_bytes()], max_aspect=200)
        assert (found.reading.white_level, found.images.max()) == (4_095, 249)

    @pytest.mark.parametrize("white", [None, 65_535])
    @pytest.mark.parametrize("kind", [list, iter])
    def test_one_image_may_be_dark(self, kind, white):
        frames = [np.full((9, 8), value, np.uint16) for value in (60_000, 999)]
        assert stack_of(kind(frames), white).images.max(axis=(1, 2, 3)).tolist() == [233, 4]

    def test_sides_may_be_long(self):
        x = np.random.default_rng(0).integers(0, 256, (5, 900, 4, 3)).astype(np.uint8)
        assert nt.Task.from_arrays(x, self.labels, max_aspect=225).reading.max_aspect == 225
