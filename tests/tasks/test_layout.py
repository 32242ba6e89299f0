"""Which folders are classes and which are splits: recognised from the whole picture, as given, or refused with what to do."""

from __future__ import annotations

import itertools
import os
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import nbtransfer as nt
from nbtransfer.errors import TaskError
from nbtransfer.tasks.folders import read_tree
from nbtransfer.tasks.recognise import find_layout
from tests.support.pictures import COLOURS, picture


def tree(root, *places, each=2):
    """Files without content: `a/b` stands for a folder with so many images, `a/b.txt` for a file."""
    for place in places:
        if "." in place:
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            (root / place).touch()
            continue
        (root / place).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            (root / place / f"{number}.png").touch()
    return root


def product(*levels):
    return ["/".join(parts) for parts in itertools.product(*levels)]


def found(root, pattern=None, ignore=(), **splits):
    layout = find_layout(read_tree(root, ignore), pattern, {name: [paths] for name, paths in splits.items()})
    return {split: sorted(names) for split, names in layout.classes.items()}


RECOGNISED = {
    "one folder per class": (["cats", "dogs"], {None: ["cats", "dogs"]}),
    "deeper folders in classes": (["cats/a", "cats/b", "dogs/c"], {None: ["cats", "dogs"]}),
    "images one level deeper": (["cats/images", "dogs/images"], {None: ["cats", "dogs"]}),
    "splits": (product(["train", "val"], ["a", "b"]), {"train": ["a", "b"], "val": ["a", "b"]}),
    "a split without a class": (["train/a", "train/b", "test/a"], {"train": ["a", "b"], "test": ["a"]}),
    "only a train folder": (product(["train"], ["a", "b"]), {"train": ["a", "b"]}),
    "other words": (
        product(["Training", "dev", "testing"], ["a", "b"]),
        {"train": ["a", "b"], "val": ["a", "b"], "test": ["a", "b"]},
    ),
    "words in names": (product(["seg_train", "seg_test"], ["a", "b"]), {"train": ["a", "b"], "test": ["a", "b"]}),
    "years": (product(["train2017", "val2017"], ["a", "b"]), {"train": ["a", "b"], "val": ["a", "b"]}),
    "wrapped twice": (
        [*product(["training_set/training_set"], ["a", "b"]), *product(["test_set/test_set"], ["a", "b"])],
        {"train": ["a", "b"], "test": ["a", "b"]},
    ),
    "splits in classes": (product(["a", "b"], ["train", "test"]), {"train": ["a", "b"], "test": ["a", "b"]}),
    "two train folders": (product(["train_1", "train_2", "test"], ["a", "b"]), {"train": ["a", "b"], "test": ["a", "b"]}),
    "a class called train": (["train", "plane", "ship"], {None: ["plane", "ship", "train"]}),
    "valid tickets": (["valid", "invalid"], {None: ["invalid", "valid"]}),
    "valid and other tickets": (["valid", "invalid", "test"], {None: ["invalid", "test", "valid"]}),
    "controls and two treatments": (["control", "drug", "placebo"], {None: ["control", "drug", "placebo"]}),
    "control and treated": (["control", "treated"], {None: ["control", "treated"]}),
    "controls with patients": (["control/p1", "control/p2", "ill/p3", "ill/p4"], {None: ["control", "ill"]}),
    "a class called test": (["test", "prod"], {None: ["prod", "test"]}),
    "junk of drives": (
        [
            "a",
            "b",
            "@eaDir/x",
            "#recycle/a",
            "$RECYCLE.BIN/x",
            "a/@eaDir/SYNO",
            "FOUND.000",
            "System Volume Information/x",
            "lost+found/x",
        ],
        {None: ["a", "b"]},
    ),
    "others beside splits": (
        [*product(["train", "test"], ["a", "b"]), "sample_images"],
        {"train": ["a", "b"], "test": ["a", "b"]},
    ),
    "a test folder without classes": ([*product(["train"], ["a", "b"]), "test"], {"train": ["a", "b"]}),
    "a test folder with one that is none": ([*product(["train"], ["a", "b"]), "test/unknown"], {"train": ["a", "b"]}),
}


@pytest.mark.parametrize(("places", "expected"), RECOGNISED.values(), ids=RECOGNISED)
def test_recognised(tmp_path, places, expected):
    assert found(tree(tmp_path, *places)) == expected


REFUSED = {
    "batches of classes": (
        product(["batch1", "batch2"], ["good", "bad"]),
        [
            "in two ways",
            "layout='class'",
            "2 classes (batch1, batch2)",
            "layout='*/class'",
            "2 classes (bad, good)",
            "8 images",
        ],
    ),
    "a batch lacks a class": (["b1/good", "b1/bad", "b2/good"], ["layout='*/class'"]),
    "batches wrapped twice": (["one/one/a", "one/one/b", "two/two/a", "two/two/b"], ["in two ways"]),
    "batches in splits": (
        product(["train", "test"], ["site1", "site2"], ["a", "b"]),
        [
            "in two ways",
            "layout='split/class' reads folders split/class: 2 classes (site1, site2)",
            "layout='split/*/class' reads folders split/*/class: 2 classes (a, b), 8 train + 8 test",
        ],
    ),
    "batches in splits, one of them to test": (
        [*product(["train"], ["site1", "site2"], ["a", "b"]), *product(["test/site1"], ["a", "b"])],
        ["in two ways", "layout='split/class'", "layout='split/*/class'"],
    ),
    "batches in splits wrapped twice": (
        product(["train/train", "test/test"], ["site1", "site2"], ["a", "b"]),
        ["layout='split/*/class' reads", "layout='split/*/*/class' reads"],
    ),
    "a folder like train": (product(["train", "extra"], ["a", "b"]), ["train=['train', 'extra']", "ignore='extra'"]),
    "train may be a class": (["train/steam", "train/diesel", "plane", "ship"], ["layout='class'", "layout='split/class'"]),
    "no train": (product(["val", "test"], ["a", "b"]), ["no train folder", "train='…'"]),
    "splits without classes": (["train", "test"], ["no class folders", "layout='class'"]),
    "one level too high": (product(["data"], ["a", "b"]), ["{root}/data has the folders a, b; give that one"]),
    "two levels too high": (product(["x/data"], ["train", "test"], ["a", "b"]), ["{root}/x/data has the folders test, train"]),
    "several tasks": (product(["pets", "cars"], ["train", "test"], ["a", "b"]), ["several tasks, cars, pets"]),
    "images and masks": (["images", "masks"], ["images, hardly a class", "ignore='images'"]),
    "unlabelled beside classes": (["cats", "dogs", "unlabelled"], ["ignore='unlabelled'", "a trained run can predict"]),
    "test beside classes": (
        ["cats", "dogs", "test"],
        ["beside test, hardly a class; leave it out with ignore='test', or say with layout='class' that it is one; a trained"],
    ),
    "val and test beside classes": (
        ["cats", "dogs", "val", "Test_2"],
        ["beside Test_2, val, hardly classes; leave them out with ignore=['Test_2', 'val'], or say"],
    ),
    "no folders": (["1.png", "2.png"], ["its images are not in folders; sort them"]),
    "no images": (["a/1.txt"], ["has no class folders with images"]),
    "only HEIC": (
        ["a/1.heic", "a/2.heic", "b/1.HEIC"],
        ["no class folders with images", "3 .heic files left out: install pill"],
    ),
}


@pytest.mark.parametrize(("places", "parts"), REFUSED.values(), ids=REFUSED)
def test_refused_with_what_to_do(tmp_path, places, parts, monkeypatch):
    monkeypatch.setattr("nbtransfer.tasks.folders.SUFFIXES", frozenset({".png"}))
    with pytest.raises(TaskError) as caught:
        found(tree(tmp_path, *places))
    for part in parts:
        assert part.replace("{root}", str(tmp_path)) in str(caught.value)


def test_one_level_too_low(tmp_path):
    root = tree(tmp_path / "up", "cats", "dogs", "empty/x", ".hidden", "1.txt")
    with pytest.raises(TaskError) as caught:
        found(root / "cats")
    assert f"sort them into one folder per class, or, if cats is a class, give {root}, which has cats, dogs)" in str(
        caught.value
    )


class TestGiven:
    @pytest.mark.parametrize(
        ("pattern", "classes"),
        [
            ("class", {None: ["batch1", "batch2"]}),
            ("*/class", {None: ["bad", "good"]}),
            ("batch1/class", {None: ["bad", "good"]}),
            ("batch?/class", {None: ["bad", "good"]}),
        ],
    )
    def test_levels(self, tmp_path, pattern, classes):
        assert found(tree(tmp_path, *product(["batch1", "batch2"], ["good", "bad"])), pattern) == classes

    def test_splits_within_batches(self, tmp_path):
        root = tree(tmp_path, *product(["b1", "b2"], ["train", "test"], ["x", "y"]))
        assert found(root, "*/split/class") == {"train": ["x", "y"], "test": ["x", "y"]}

    @pytest.mark.parametrize(("pattern", "names"), [("split/class", ["s1", "s2"]), ("split/*/class", ["a", "b"])])
    def test_batches_within_splits(self, tmp_path, pattern, names):
        root = tree(tmp_path, *product(["train", "test"], ["s1", "s2"], ["a", "b"]))
        assert found(root, pattern) == {"train": names, "test": names}

    def test_folders_of_each_split(self, tmp_path):
        root = tree(tmp_path, *product(["one", "two", "old/three"], ["x", "y"]))
        assert found(root, train="one", test="two") == {"train": ["x", "y"], "test": ["x", "y"]}
        assert found(root, train=root / "old" / "three", val="one/") == {"train": ["x", "y"], "val": ["x", "y"]}

    def test_ignored_names(self, tmp_path):
        root = tree(tmp_path, *product(["batch1", "batch2"], ["good", "bad"]), "batch1/good/1_mask.png")
        assert found(root, "*/class", ignore=["batch2"]) == {None: ["bad", "good"]}
        assert found(root, "*/class", ignore=["*_mask.png", "*/bad"]) == {None: ["good"]}

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"pattern": "classes"}, "name each level of folders: class, split, \\* for any"),
            ({"pattern": "class/class"}, "name each level"),
            ({"pattern": "split/class"}, "fits no folder in .*; its folders are a/x, a/y, b/x, b/y"),
            ({"pattern": "split/class", "train": "a"}, "either layout='split/class' or the folders of each split"),
            ({"train": "c"}, "/c is no folder; give folders in"),
            ({"train": "../other"}, "is outside the task"),
            ({"val": "a"}, "no class folders to train on"),
            ({"train": "a", "test": "a/"}, "^a is given for train and for test; give each folder once"),
            ({"train": "a", "test": "a/x"}, "^a/x lies in a, and both are given"),
            ({"train": ".", "test": "a"}, "a lies in .*, and both are given"),
            ({"train": "a/x"}, "no class folders to train on"),
            ({"ignore": ["*"]}, "ignore='\\*' leaves out all there is in .*; leave out less"),
            ({"ignore": ["nothing*"]}, "ignore='nothing\\*' fits no name in"),
        ],
    )
    def test_mistakes_are_explained(self, tmp_path, options, message):
        with pytest.raises(TaskError, match=message):
            found(tree(tmp_path, *product(["a", "b"], ["x", "y"])), **options)


def test_one_class_in_two_unicode_forms(tmp_path):
    name = "café"
    forms = [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
    assert forms[0] != forms[1]
    assert found(tree(tmp_path, *product(["train"], [forms[0], "b"]), *product(["val"], [forms[1], "b"]))) == {
        "train": ["b", forms[0]], "val": ["b", forms[0]],
    }  # fmt: skip
    assert found(tree(tmp_path / "flat", *forms, "b")) == {None: ["b", forms[0]]}


@given(
    names=st.lists(st.sampled_from(["train", "test", "val", "dev", "a", "b", "valid", "images", "x1"]), min_size=1, max_size=4),
    inner=st.lists(st.sampled_from(["", "a", "b", "train", "test"]), min_size=1, max_size=3),
)
def test_every_tree_is_read_or_refused_and_no_image_counts_twice(tmp_path_factory, names, inner):
    root = tree(tmp_path_factory.mktemp("tree"), *product(names, inner))
    try:
        layout = find_layout(read_tree(root), None, {})
    except TaskError:
        return  # refused
    paths = [path for path, _, _ in layout.images]
    assert len(paths) == len(set(paths)) > 0


class TestSaid:
    def folders(self, tmp_path, *parts):
        for number, (part, (name, colour)) in enumerate(itertools.product(parts, COLOURS.items())):
            (tmp_path / part / name).mkdir(parents=True)
            for each in range(4):
                picture(colour, 100 * number + each).save(tmp_path / part / name / f"{each}.png")
        return tmp_path

    def test_what_was_understood(self, tmp_path):
        task = nt.Task.from_folder(self.folders(tmp_path, "training_set/training_set", "test_set/test_set"))
        assert task.layout == (
            "training_set/training_set (train), test_set/test_set (test), one folder per class: "
            "3 classes (blue, green, red), 12 train + 12 test"
        )
        assert task.layout in task._repr_html_()
        assert "3 classes (blue, green, red)" in repr(task)

    def test_images_without_a_label(self, tmp_path):
        root = self.folders(tmp_path, "train")
        picture((1, 2, 3), 999).save(root / "train" / "loose.png")
        (root / "test").mkdir()
        picture((1, 2, 3), 998).save(root / "test" / "1.png")
        notes = nt.Task.from_folder(root).notes
        assert "1 image in train has no class folder and no label: left out; a trained run predicts it" in notes
        assert "1 image in test has no class folder and no label: left out; a trained run predicts it" in notes

    def test_folders_beside_train(self, tmp_path):
        root = self.folders(tmp_path, "train")
        (root / "unlabelled").mkdir()
        for number in range(2):
            picture((1, 2, 3), 900 + number).save(root / "unlabelled" / f"{number}.png")
        note = "left out, because there is a train folder: 2 images in unlabelled; a trained run predicts them"
        assert note in nt.Task.from_folder(root).notes

    def test_a_hold_out_without_a_class(self, tmp_path):
        root = self.folders(tmp_path, "train", "test")
        for path in (root / "test" / "red").iterdir():
            path.unlink()
        task = nt.Task.from_folder(root)
        assert "there are no test images of class red: scores on the test images say nothing about it" in task.notes

    def test_a_share_that_rounds_to_nothing(self, tmp_path):
        task = nt.Task.from_folder(self.folders(tmp_path, "train"), test=0.1)
        assert task.sizes["test"] == 0
        assert "no test examples: 0.1 of each class rounds to none; use a larger share" in task.notes

    def test_given_folders(self, tmp_path):
        task = nt.Task.from_folder(self.folders(tmp_path, "a", "b", "c"), train=["a", "b"], test="c")
        assert tuple(task.sizes.values()) == (18, 6, 12)

    def test_white_is_measured_over_the_whole_task(self, tmp_path):
        """Data of 12 bits in files of 16, and the same pixels in 8 bits, are the same task to a network."""
        rng = np.random.default_rng(0)
        for kind, label, number in itertools.product(("wide", "narrow"), ("a", "b"), range(4)):
            (tmp_path / kind / label).mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (20, 20))
            values = (pixels * 4095 / 255).round().astype(np.uint16) if kind == "wide" else pixels.astype(np.uint8)
            Image.fromarray(values).save(tmp_path / kind / label / f"{number}.png")
        task = nt.Task.from_folder(tmp_path / "wide")
        assert task.reading.white_level == 4095
        assert any("4,095 is read as white; white_level=65535" in note for note in task.notes)
        assert max(np.asarray(task.image(sample)).max() for sample in task.samples) > 250
        whole = nt.Task.from_folder(tmp_path / "wide", white_level=65_535)
        assert whole.reading.white_level == 65_535
        assert whole.digest != task.digest
        assert nt.Task.from_folder(tmp_path / "narrow").reading.white_level == 65_535


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    root = tree(tmp_path / "images", "a", "b", "private")
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("private"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(TaskError, match=r"private cannot be read \(Permission denied\); see who owns it, or leave it out"):
        read_tree(root)
