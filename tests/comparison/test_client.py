"""The explainer of a kernel and its real child process: answers, mistakes, and what happens when the child dies."""

from __future__ import annotations

import pytest

from nbtransfer.comparison.client import Explainer


@pytest.fixture
def explainer():
    with Explainer() as it:
        yield it


def test_a_real_process_answers_and_comes_back_after_its_death(explainer, lp_ft, monkeypatch, tmp_path):
    sample = next(lp_ft.recipe.task.split("test"))
    request = {"run": lp_ft.id, "samples": [["test", 0]], "target": "red", "before": None, "after": "best", "narrow": True}
    reply = explainer.ask(request)
    assert reply["ok"], reply
    assert reply["svg"].startswith("<svg")
    assert sample.source in reply["caption"]
    assert reply["target"] == "red"
    assert reply["before"] == f"0-lp of run {lp_ft.id} (lp_ft)"
    assert all(len(row) == len(reply["header"]) for row in reply["table"])

    wrong = explainer.ask({**request, "target": "rde"})
    assert (wrong["ok"], wrong["error"][:40]) == (False, "there is no class 'rde'; did you mean 're"[:40])
    assert "KeyError" in explainer.ask({"run": lp_ft.id})["error"]

    # Runs are looked up where the asking process would look, now.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("NBTRANSFER_HOME", "relative")
    monkeypatch.chdir(elsewhere)
    assert f"there are no runs in {elsewhere / 'relative'}" in explainer.ask(request)["error"]

    explainer._child.kill()
    assert explainer.ask(request)["error"] == (
        "the explaining process exited with status -9 (often out of memory) before it could answer; ask again"
    )
    assert "there are no runs" in explainer.ask(request)["error"]
    child = explainer._child
    explainer.close()
    assert child.poll() is not None
    explainer.close()
