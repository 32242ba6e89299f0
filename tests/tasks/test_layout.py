"""Which folders are classes and which are splits: recognised from the whole picture, as given, or refused with what to do."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtransfer.errors import TaskError
from nbtransfer.tasks.folders import read_tree
from nbtransfer.tasks.recognise import find_layout


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
            "layout='split/class' reads it as folders split/class: 2 classes (site1, site2)",
            "layout='split/*/class' reads it as folders split/*/class: 2 classes (a, b), 8 train + 8 test",
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
    "batches in train only": (
        [*product(["train"], ["b1", "b2"], ["a", "b"]), *product(["val"], ["a", "b"])],
        ["the folders a, b in val itself, but in train only in its folders b1, b2", "train=['train/b1', 'train/b2']"],
    ),
    "a hold-out that leaves one class": (["cat", "val/cat", "val/dog"], ["beside val, with the same class folders"]),
    "a folder like train": (product(["train", "extra"], ["a", "b"]), ["train=['train', 'extra']", "ignore='extra'"]),
    "train may be a class": (["train/steam", "train/diesel", "plane", "ship"], ["layout='class'", "layout='split/class'"]),
    "no train": (product(["val", "test"], ["a", "b"]), ["no train folder", "train='…'"]),
    "splits without classes": (["train", "test"], ["no class folders", "layout='class'"]),
    "one level too high": (product(["data"], ["a", "b"]), ["{root}/data has the folders a, b; give that one"]),
    "two levels too high": (product(["x/data"], ["train", "test"], ["a", "b"]), ["{root}/x/data has the folders test, train"]),
    "several tasks": (product(["pets", "cars"], ["train", "test"], ["a", "b"]), ["several tasks, cars, pets"]),
    "images and masks": (["images", "masks"], ["images, probably not a class", "ignore='images'"]),
    "unlabelled beside classes": (["cats", "dogs", "unlabelled"], ["ignore='unlabelled'", "a trained run can predict"]),
    "test beside classes": (
        ["cats", "dogs", "test"],
        [
            "beside test, probably not a class; leave it out with ignore='test', or say with layout='class' that it is one",
        ],
    ),
    "a hold-out of the classes beside it": (
        ["cats", "dogs", "test/cats", "test/dogs"],
        ["beside test, with the same class folders; move cats, dogs into a folder train, or leave test out with ignore='test'"],
    ),
    "val and test beside classes": (
        ["cats", "dogs", "val", "Test_2"],
        ["beside Test_2, val, probably not classes; leave them out with ignore=['Test_2', 'val'], or say"],
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

    def test_batches_within_given_splits(self, tmp_path):
        root = tree(tmp_path, *product(["x", "y"], ["s1", "s2"], ["a", "b"]))
        with pytest.raises(
            TaskError, match=r"layout='class' reads .*\(s1, s2\).*; layout='\*/class' reads .*\(a, b\), 8 train"
        ):
            found(root, train="x", test="y")
        with pytest.raises(TaskError, match=r"the folders a, b in s1 itself, but in x only in its folders s1, s2"):
            found(root, train="x", test="y/s1")
        assert found(root, "*/class", train="x", test="y") == {"train": ["a", "b"], "test": ["a", "b"]}

    @pytest.mark.parametrize(
        "options",
        [{"pattern": "split/*/class"}, {"pattern": "*/class", "train": "train", "val": "val"}],
        ids=["split", "given"],
    )
    def test_a_split_without_such_folders(self, tmp_path, options):
        root = tree(tmp_path, *product(["train"], ["s1", "s2"], ["a", "b"]), *product(["val"], ["a", "b"]))
        with pytest.raises(TaskError, match=r"^val has 4 images, but not in folders \*/class; its folders are a, b"):
            found(root, **options)

    def test_a_split_without_labels(self, tmp_path):
        layout = find_layout(read_tree(tree(tmp_path, "train/a", "train/b", "test"), ()), "split/class", {})
        assert layout.notes == [
            "2 images in test have no class folder, so no label: left out; use run.predict on them after training"
        ]

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
            ({"pattern": "split/class"}, "matches no folder in .*; its folders are a/x, a/y, b/x, b/y"),
            ({"pattern": "split/class", "train": "a"}, "either layout='split/class' or the folders of each split"),
            ({"train": "c"}, "/c is not a folder; give folders in"),
            ({"train": "../other"}, "is outside the task"),
            ({"val": "a"}, "no class folders to train on"),
            ({"train": "a", "test": "a/"}, "^a is given for train and for test; give each folder once"),
            ({"train": "a", "test": "a/x"}, "^a/x is inside a, and both are given"),
            ({"train": ".", "test": "a"}, "a is inside .*, and both are given"),
            ({"train": "a/x"}, "no class folders to train on"),
            ({"ignore": ["*"]}, "ignore='\\*' leaves out every image in .*; use narrower patterns"),
            ({"ignore": ["[0-9].png", "b"]}, "ignore='.*', 'b' leaves out every image in"),
            ({"ignore": ["nothing*"]}, "ignore='nothing\\*' matches nothing in"),
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
