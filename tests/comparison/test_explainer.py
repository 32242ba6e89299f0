"""The explaining process, a real one: its answers, its mistakes, its death."""

from __future__ import annotations

import base64
import json
import subprocess
import sys

import pytest

from nbtransfer.comparison.explainer import KEPT_MODELS, Desk, Explainer
from nbtransfer.jobs.environment import worker_environment


@pytest.fixture
def explainer():
    with Explainer() as it:
        yield it


def test_a_real_process_answers_and_comes_back_after_its_death(explainer, lp_ft, monkeypatch, tmp_path):
    sample = next(lp_ft.recipe.task.split("test"))
    request = {"run": lp_ft.id, "samples": [["test", 0]], "target": "red", "before": None, "after": "best", "ink": "white"}
    reply = explainer.ask(request)
    assert reply["ok"], reply
    assert base64.b64decode(reply["png"]).startswith(b"\x89PNG")
    assert sample.source in reply["caption"]
    assert reply["target"] == "red"
    assert reply["before"] == f"0-lp of run {lp_ft.id} (lp_ft)"
    assert all(len(row) == len(reply["header"]) for row in reply["table"])

    wrong = explainer.ask({**request, "target": "rde"})
    assert (wrong["ok"], wrong["error"][:40]) == (False, "there is no class 'rde'; did you mean 're"[:40])
    assert "KeyError" in explainer.ask({"run": lp_ft.id})["error"]

    # Runs are looked for where the asking process would, now.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("NBTRANSFER_HOME", "relative")
    monkeypatch.chdir(elsewhere)
    assert "there are no runs in relative" in explainer.ask(request)["error"]

    explainer._child.kill()
    assert explainer.ask(request)["error"] == (
        "the explaining process ended with status -9 (often: out of memory) before it could answer; ask again"
    )
    assert "there are no runs" in explainer.ask(request)["error"]
    child = explainer._child
    explainer.close()
    assert child.poll() is not None
    explainer.close()


def test_the_child_ends_with_its_input(lp_ft):
    command = [sys.executable, "-P", "-m", "nbtransfer.comparison.explainer"]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=60, env=worker_environment(), check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_few_models_are_kept_and_used_again(lp_ft, monkeypatch):
    desk = Desk()
    kept = [desk._model(_moment(lp_ft, name)) for name in ("start", "0-lp", "1-ft")]
    assert desk._model(_moment(lp_ft, "start")) is kept[0]
    desk._model(_moment(lp_ft, "best"))
    assert len(desk._models) == KEPT_MODELS
    assert desk._model(_moment(lp_ft, "start")) is kept[0]
    assert desk._model(_moment(lp_ft, "0-lp")) is not kept[1]


def test_answers_are_one_line_of_json_each(lp_ft, home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reply = Desk().answer({"run": lp_ft.id, "samples": [["test", 99]], "home": str(home), "folder": str(tmp_path)})
    assert reply == {"ok": False, "error": f"run {lp_ft.id} has no test image 99; it has 9, counted from 0"}
    assert "\n" not in json.dumps(reply)


def _moment(run, name):
    from nbtransfer.comparison.snapshots import Snapshot

    return Snapshot(run, name)
