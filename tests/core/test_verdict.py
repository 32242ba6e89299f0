"""The verdict says what a score is worth: what it was measured on, what is missing, what to distrust."""

from __future__ import annotations

import pytest

from nbtransfer.core import events as ev
from nbtransfer.core.evaluation import Evaluation
from nbtransfer.core.messages import message
from nbtransfer.core.missing import too_many_missing
from nbtransfer.core.state import HistoryRow, RunState
from nbtransfer.core.task import Sample, TaskCard
from nbtransfer.core.verdict import verdict

SAMPLES = tuple(
    Sample(f"{label}/{n}.png", "abc".index(label), "train" if n < 8 else "val", "1f") for label in "abc" for n in range(10)
)
TASK = TaskCard("t", "folder", "/x", ("a", "b", "c"), SAMPLES)


def scores(*rows, split="test"):
    return Evaluation(split, TASK.classes, rows, 0.1)


GOOD = scores((20, 0, 0), (0, 20, 0), (0, 0, 20))


def state(*evaluations, **facts):
    return RunState(**{"status": "finished", "evaluations": evaluations, **facts})


def skipped(*sources, reason="image.gone"):
    return tuple(ev.ImageSkipped(source, "train", message(reason)) for source in sources)


def planned(epochs, done):
    phase = ev.PhasePlan("ft", epochs, 0.001, 10, message("plan.all", of=10))
    prepared = ev.Prepared("cpu", "x", "fp32", 1, 24, 6, 0, 10, None, (phase,), {})
    rows = tuple(HistoryRow("ft", n + 1, n, 0.1, 0.9, 0.1, 0.9, (0.8, 1.0), 0.1, 1.0, n == 0) for n in range(done))
    return {"prepared": prepared, "history": rows}


def test_a_good_run_on_test_images_has_no_caveat():
    found = verdict(state(GOOD), TASK)
    assert found.headline == "finished: accuracy 1.000 on 60 test images (95 % 0.940–1.000)"
    assert found.caveats == ()
    assert str(found) == found.headline


@pytest.mark.parametrize(
    ("of", "caveat"),
    [
        (
            state(scores((20, 0, 0), (0, 20, 0), (0, 0, 20), split="val")),
            "there are no test images: the best epoch was chosen on",
        ),
        (state(scores((20, 0, 0), (0, 20, 0), (5, 0, 0))), "none of the test images of class c is recognised (recall 0)"),
        (
            state(scores((20, 0, 0), (0, 20, 0), (0, 0, 0))),
            "there are no test images of class c, so the score says nothing about it",
        ),
        (state(scores((8, 0, 0), (1, 0, 0), (1, 0, 0))), "accuracy 0.800 is no better than always answering 'a' (0.800)"),
        (state(scores((6, 2, 0), (0, 1, 0), (0, 0, 1))), "no better than always answering 'a'"),
        (state(scores((4, 1, 0), (1, 3, 0), (0, 0, 1))), "is not clearly better than always answering 'a' (0.500)"),
        (state(GOOD, **planned(20, 2)), "ft ended after 2 of 20 epochs: the validation score had stopped improving"),
        (state(GOOD, warnings=("noisy",)), "noisy"),
        (
            state(GOOD, skipped=skipped("a/0.png", "a/1.png", "b/9.png")),
            "because it is gone: 2 of 24 train, 1 of 6 val, 2 of 10 of class a, 1 of 10 of class b; a/0.png, a/1.png, b/9.png",
        ),
    ],
)
def test_caveats(of, caveat):
    found = verdict(of, TASK)
    assert any(caveat in each for each in found.caveats), found
    assert caveat in str(found)


def test_a_run_that_ended_early_says_where_and_why():
    stopped = state(GOOD, status="stopped", message="stopped by ana", **planned(20, 2))
    assert verdict(stopped, TASK).headline.startswith("stopped after 2 of 20 epochs: stopped by ana; accuracy 1.000")
    failed = RunState(status="failed", message="out of memory", **planned(20, 1))
    assert verdict(failed, TASK).headline == (
        "failed after 1 of 20 epochs: out of memory; best validation accuracy 0.900 in epoch 1"
    )
    assert repr(failed) == f"RunState({failed.headline})"


@pytest.mark.parametrize(
    ("sources", "most", "where"),
    [
        (["a/0.png"], 0.1, None),
        (["a/0.png", "a/1.png"], 0.1, "2 of 10 images of class a"),
        (["a/0.png", "a/1.png"], 0.2, None),
        (["a/8.png"], 0.1, "1 of 6 images of the val split"),
        ([f"c/{n}.png" for n in range(10)], 0.5, "10 of 10 images of class c"),
        ([], 0.0, None),
        (["a/0.png"], 0.0, "1 of 10 images of class a"),
    ],
)
def test_when_too_many_are_missing(sources, most, where):
    found = too_many_missing(sources, TASK, most)
    assert (found is None) == (where is None)
    assert where is None or (where in str(found) and "max_missing=1" in str(found))
