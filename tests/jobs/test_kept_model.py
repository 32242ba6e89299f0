"""A handle keeps the model it predicts with, and drops it when the run has a better one."""

from __future__ import annotations

import shutil

import pytest

import nbtransfer as nt
from nbtransfer.engine.checkpoints import result
from nbtransfer.errors import RunError


@pytest.fixture
def loaded(monkeypatch):
    """The number of times that a model was loaded."""
    real, times = result.load, []

    def load(*arguments):
        times.append(1)
        return real(*arguments)

    monkeypatch.setattr(result, "load", load)
    return times


def test_one_image_after_the_other_loads_the_model_once(lp_ft, loaded):
    samples = list(lp_ft.task.split("test"))
    single = [lp_ft.predict(sample)[0] for sample in samples]
    assert len(loaded) == 1
    together = lp_ft.predict(samples)
    assert [a.label for a in together] == [a.label for a in single]
    assert [a.truth for a in together] == [lp_ft.task.classes[s.label] for s in samples]
    assert lp_ft.predict(lp_ft.task.samples[0]) == nt.attach(lp_ft.id).predict(lp_ft.task.image(lp_ft.task.samples[0]))


def test_a_better_model_takes_its_place(lp_ft, loaded):
    sample = lp_ft.task.samples[0]
    before = lp_ft.predict(sample)
    shutil.rmtree(lp_ft.paths.best_model)
    with pytest.raises(RunError, match="has no model yet"):
        lp_ft.predict(sample)
    shutil.copytree(lp_ft.paths.snapshots / "0-lp", lp_ft.paths.best_model)
    assert lp_ft.predict(sample) != before
    assert len(loaded) == 2


def test_the_model_that_is_handed_out_is_another_one(lp_ft):
    sample = lp_ft.task.samples[0]
    before = lp_ft.predict(sample)
    for parameter in lp_ft.model().parameters():
        parameter.data.zero_()
    assert lp_ft.predict(sample) == before
