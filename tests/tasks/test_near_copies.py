"""Copies whose bytes differ: found whatever was done to them, and nothing else is."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

import nbtransfer as nt
from nbtransfer.tasks import near_copies as module
from nbtransfer.tasks.near_copies import signature


def photo(seed, size=(160, 120)):
    """Shapes, shades and noise: as different as two photographs are."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    noise = random.normal(0, 8, (size[1], size[0], 3))
    return Image.fromarray((np.asarray(coarse) + noise).clip(0, 255).astype(np.uint8))


def near_copies(signatures):
    """As of files that all have other bytes."""
    return module.near_copies(signatures, [str(number) for number in range(len(signatures))])


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return Image.open(io.BytesIO(stream.getvalue())).convert("RGB")


CHANGES = {
    "same pixels": (lambda image: encoded(image, "BMP"), "copied"),
    "jpeg": (lambda image: encoded(image, "JPEG", quality=40), "copied"),
    "webp": (lambda image: encoded(image, "WEBP", quality=50), "copied"),
    "half": (lambda image: image.resize((80, 60), Image.Resampling.BICUBIC), "copied"),
    "double": (lambda image: image.resize((320, 240), Image.Resampling.BILINEAR), "copied"),
    "squashed": (lambda image: image.resize((64, 64)), "copied"),
    "grey": (lambda image: ImageOps.grayscale(image).convert("RGB"), "copied"),
    "brighter": (lambda image: image.point(lambda value: 20 + value * 0.85), "copied"),
    "mirrored": (ImageOps.mirror, "mirrored"),
    "upside down": (ImageOps.flip, "mirrored"),
    "turned by half": (lambda image: image.rotate(180), "mirrored"),
    "mirrored jpeg, half": (lambda image: encoded(ImageOps.mirror(image).resize((80, 60)), "JPEG"), "mirrored"),
}


@pytest.mark.parametrize(("change", "how"), CHANGES.values(), ids=CHANGES)
def test_every_copy_is_found_and_nothing_else(change, how):
    images = [photo(seed) for seed in range(40)]
    copies = [change(image) for image in images]
    found = list(near_copies([signature(image) for image in (*images, *copies)]))
    assert [(pair.first, pair.second) for pair in found] == [(number, number + 40) for number in range(40)]
    assert {pair.how for pair in found} == {how}


@given(st.integers(0, 30), st.integers(0, 30))
@settings(max_examples=10, deadline=None)
def test_the_order_does_not_matter(one, other):
    images = [photo(seed) for seed in range(31)]
    images[one] = encoded(images[other], "JPEG", quality=60)
    found = {(pair.first, pair.second) for pair in near_copies([signature(image) for image in images])}
    assert found == ({(min(one, other), max(one, other))} if one != other else set())


def test_images_without_contrast_are_no_copies():
    blank = [Image.new("RGB", (20, 20), (shade, shade, shade)) for shade in range(10)]
    assert list(near_copies([signature(image) for image in blank])) == []


def test_exact_copies_are_left_to_their_digests():
    one, other = signature(photo(0)), signature(encoded(photo(0), "JPEG", quality=60))
    [pair] = module.near_copies([one, one, other], ["a", "a", "b"])
    assert (pair.first, pair.second) == (0, 2)


def test_very_many_copies_take_no_longer_than_others():
    one = signature(photo(0))
    found = list(near_copies([one] * 2000))
    assert 1000 < len(found) <= 8000


class TestNotes:
    """Noted for every kind of source; nothing is left out."""

    def folder(self, root):
        for label, seeds in {"a": range(4), "b": range(4, 8)}.items():
            for side in ("train", "val"):
                (root / side / label).mkdir(parents=True)
                for seed in seeds:
                    photo(seed + (20 if side == "val" else 0)).save(root / side / label / f"{seed}.png")
        return root

    def test_across_given_splits(self, tmp_path):
        root = self.folder(tmp_path)
        ImageOps.mirror(photo(2)).save(root / "val" / "a" / "copy.jpg", quality=80)
        task = nt.Task.from_folder(root)
        [note] = task.notes
        assert note.startswith("1 pair of images that look like copies (re-encoded, resized or mirrored) in two splits")
        assert "train/a/2.png = val/a/copy.jpg (mirrored): train, val; remove one of each, or give groups=" in note
        assert len(task.samples) == 17

    def test_with_two_labels(self, tmp_path):
        root = self.folder(tmp_path)
        photo(2).resize((90, 70)).save(root / "train" / "b" / "copy.bmp")
        [note] = nt.Task.from_folder(root).notes
        assert "with two labels: train/a/2.png = train/b/copy.bmp: a, b; look at them" in note

    def test_in_one_split_of_one_class_there_is_nothing_to_say(self, tmp_path):
        root = self.folder(tmp_path)
        photo(2).resize((90, 70)).save(root / "train" / "a" / "copy.bmp")
        assert nt.Task.from_folder(root).notes == ()

    def test_arrays(self):
        pixels = np.stack([np.asarray(photo(seed)) for seed in range(8)])
        pixels[7] = np.asarray(ImageOps.mirror(Image.fromarray(pixels[0])))
        [note] = nt.Task.from_arrays(pixels, [0, 0, 0, 0, 1, 1, 1, 1]).notes
        assert "0 = 7 (mirrored): 0, 1" in note

    def test_custom_datasets(self):
        source = (
            "import numpy as np\nfrom PIL import Image, ImageOps\n"
            "def shape(seed):\n"
            "    shade = np.random.default_rng(seed).integers(0, 255, (6, 8), dtype=np.uint8)\n"
            "    return Image.fromarray(shade).resize((80, 60)).convert('RGB')\n"
            "class Shapes:\n"
            "    labels = [0, 0, 0, 0, 1, 1, 1, 1]\n"
            "    def __len__(self):\n        return 8\n"
            "    def __getitem__(self, n):\n"
            "        return (ImageOps.flip(shape(0)) if n == 7 else shape(n)), self.labels[n]\n"
        )
        nt.code("shapes", source)
        [note] = nt.Task.from_code("shapes.Shapes").notes
        assert "0 = 7 (mirrored): 0, 1" in note
