"""Tasks from arrays: labels in every form, copies, and what is refused with advice."""

from __future__ import annotations

import numpy as np
import pytest

import nbtransfer as nt
from nbtransfer.errors import TaskError
from tests.support.inputs import tensor
from tests.support.pictures import picture

PIXELS = np.stack([np.asarray(picture((200, 100, 30), seed)) for seed in range(5)])


@pytest.fixture(autouse=True)
def user(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("user")))


class TestArrays:
    x = np.random.default_rng(0).integers(0, 255, (12, 8, 8, 3), dtype=np.uint8)
    y = np.arange(12) % 2

    def test_pixels_and_labels(self):
        task = nt.Task.from_arrays(self.x, self.y, classes=("even", "odd"))
        assert repr(task) == "Task('arrays', 2 classes (even, odd), 10 train + 2 val)"
        assert np.array_equal(np.asarray(task.image(task.samples[3])), self.x[3])
        assert task.samples[3].label == 1

    def test_floats_are_the_same_pixels(self):
        floats = np.moveaxis(self.x, -1, 1).astype(np.float64) / 255
        assert nt.Task.from_arrays(floats, self.y).root == nt.Task.from_arrays(self.x, self.y).root

    def test_tensors_and_names(self):
        import torch

        task = nt.Task.from_arrays(torch.from_numpy(self.x[..., :1]), np.where(self.y == 0, "b", "a"))
        assert task.classes == ("a", "b")
        assert task.samples[0].label == 1

    def test_copies_stay_on_one_side(self):
        x = np.repeat(self.x[:6], 4, axis=0)
        task = nt.Task.from_arrays(x, np.repeat(np.arange(6) % 2, 4), holdout=0.3)
        sides = [{s.split for s in task.samples[i : i + 4]} for i in range(0, 24, 4)]
        assert all(len(group) == 1 for group in sides)

    @pytest.mark.parametrize(
        ("x", "y", "classes", "message"),
        [
            (x[..., :2], y, None, r"has no axis for 1, 3 or 4 channels"),
            (x.astype(np.int64), y, None, "should be uint8"),
            (x.astype(np.float32), y, None, "should lie in 0…1"),
            (np.moveaxis(x, -1, 1).astype(np.float32), y, None, "should lie in 0…1"),
            (x, y[:5], None, "there are 12 images but labels of shape"),
            (x, y.astype(float), None, "labels should be whole numbers or names"),
            (x, y, ("a",), "labels run from 0 to 1, but there is 1 class$"),
            (x, np.zeros(12, int), None, "at least two classes"),
            (x, np.eye(1, 12, dtype=int)[0], None, "too few images of class 1"),
            (x[:0], [], ("a", "b"), "there are no images"),
            (np.concatenate([x, x]), np.arange(24) // 12, None, "rows 0 and 12 hold the same image, labelled '0' and '1'"),
        ],
    )
    def test_mistakes_are_explained(self, x, y, classes, message):
        with pytest.raises(TaskError, match=message):
            nt.Task.from_arrays(x, y, classes=classes)


class Table:
    """A table of labels with one column, as pandas has them."""

    columns = ("label",)

    def __init__(self, values):
        self.iloc = self._values = values

    def __array__(self, dtype=None, copy=None):
        return self._values


class TestLabels:
    def test_a_column_of_names_or_numbers(self):
        names = np.array(["b", "a", "b", "a", "a"], dtype=object)
        task = nt.Task.from_arrays(PIXELS, names)
        assert (task.classes, [s.label for s in task.samples]) == (("a", "b"), [1, 0, 1, 0, 0])
        numbers = np.array([np.int64(1), 0, 1, 0, 0], dtype=object)
        assert nt.Task.from_arrays(PIXELS, numbers, classes=np.array(["a", "b"])).digest == task.digest

    def test_names_in_the_order_of_classes(self):
        task = nt.Task.from_arrays(PIXELS, ["b", "a", "b", "a", "a"], classes=["b", "a"])
        assert (task.classes, [s.label for s in task.samples]) == (("b", "a"), [0, 1, 0, 1, 1])

    @pytest.mark.parametrize(
        ("labels", "advice"),
        [
            (np.arange(5)[:, None] % 2, r"labels of shape \(5, 1\); give one label per image, such as y\[:, 0\]"),
            (Table(np.arange(5)[:, None] % 2), r"give the column of labels, such as y\['label'\]"),
            (np.eye(2)[np.arange(5) % 2], r"if they are one-hot, give y\.argmax\(1\)"),
            (np.eye(2)[np.arange(5) % 2].tolist(), r"if they are one-hot, give np\.argmax\(y, axis=1\)"),
            (np.array([["a"], ["a", "b"], [], ["b"], ["a"]], object), r"image 0 is \['a'\]; .* of one kind$"),
            (np.arange(5) % 2 == 0, r"not bool; give y\.astype\(int\)"),
            (np.arange(5) % 2 * 1.0, r"not float64; give y\.astype\(int\)"),
            ([True, False, True, False, True], r"give \[int\(label\) for label in y\]"),
            (tensor(np.arange(5) % 2 == 0), r"not bool; give y\.long\(\)"),
            (np.arange(5) / 2, "not float64$"),
            (np.array([True, False, True, False, True], object), r"is True; .* of one kind; give y\.astype\(int\)"),
            (np.array([1.0, None, 1.0, 0.0, 0.0], object), "is 1.0; .* of one kind$"),
            (["a", "b", "c", "a", "b"], "name the classes a, b, c, but classes= says b, a"),
        ],
    )
    def test_advice_on_labels(self, labels, advice):
        with pytest.raises(TaskError, match=advice):
            nt.Task.from_arrays(PIXELS, labels, classes=("b", "a"))

    def test_a_label_that_is_missing(self):
        labels = np.array(["b", "a", None, "a", float("nan")], dtype=object)
        with pytest.raises(TaskError, match="the label of image 2 is None; labels should be whole numbers or names"):
            nt.Task.from_arrays(PIXELS, labels)

    def test_shares_may_be_numpy_scalars(self):
        labels = np.arange(5) % 2
        one = nt.Task.from_arrays(PIXELS, labels, holdout=np.float32(0.4), seed=np.int64(1))
        assert one == nt.Task.from_arrays(PIXELS, labels, holdout=0.4, seed=1)
