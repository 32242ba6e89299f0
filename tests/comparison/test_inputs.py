"""nt.explain takes and refuses the same images as predict, before it loads a model."""

from __future__ import annotations

import numpy as np
import pytest

import nbtransfer as nt
from nbtransfer.comparison.inputs import class_numbers, open_images
from nbtransfer.comparison.snapshots import Snapshot
from nbtransfer.errors import InputError
from nbtransfer.tasks.decode import to_rgb
from tests.support.inputs import NO_COLLECTION, REFUSED, TAKEN
from tests.support.pictures import picture

IMAGE = picture((200, 100, 30), 1)


@pytest.fixture(autouse=True)
def user(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("user")))


@pytest.fixture
def run(finished, monkeypatch):
    """A finished run whose models nobody may load."""

    def fail(snapshot):
        raise AssertionError(f"{snapshot} was loaded")

    monkeypatch.setattr(Snapshot, "model", fail)
    return finished


@pytest.mark.parametrize("kind", TAKEN)
def test_each_form_is_opened_like_the_image(finished, kind, tmp_path):
    wanted, make = TAKEN[kind]
    [(_, found)] = open_images(finished, make(IMAGE, tmp_path))
    assert np.array_equal(np.asarray(found), np.asarray(to_rgb(wanted(IMAGE))))


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_image_is_refused_at_once(run, kind, tmp_path):
    make, message = REFUSED[kind]
    for given in (make(tmp_path), [IMAGE, make(tmp_path)]):
        with pytest.raises(InputError, match=message) as caught:
            nt.explain(run, given, before="start")
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", NO_COLLECTION)
def test_collections_without_an_order_are_refused(run, kind):
    make, message = NO_COLLECTION[kind]
    with pytest.raises(InputError, match=message):
        nt.explain(run, make(), before="start")


def test_a_target_that_is_no_class_is_refused_at_once(run):
    with pytest.raises(InputError, match="there is no class 'gren'"):
        nt.explain(run, IMAGE, "gren", before="start")


@pytest.mark.parametrize(
    "target",
    [1, "b", np.int64(1), np.array(1), np.array([1, 1]), ["b", np.str_("b")], (t for t in ("b", 1)), np.array(["b", "b"])],
)
def test_targets_in_any_form(target):
    assert class_numbers(target, 2, ("a", "b")) == [1, 1]
