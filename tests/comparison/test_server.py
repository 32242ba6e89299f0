"""The explaining process from the inside: its answers, the models it keeps, its end."""

from __future__ import annotations

import json
import os
import subprocess

from nbtransfer.comparison.client import SERVER
from nbtransfer.comparison.server import KEPT_MODELS, ExplainServer, ModelCache, serve
from nbtransfer.comparison.snapshots import Snapshot
from nbtransfer.jobs.environment import worker_environment


def test_the_child_ends_with_its_input(lp_ft):
    done = subprocess.run(SERVER, input="", capture_output=True, text=True, timeout=60, env=worker_environment(), check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_an_idle_server_ends(monkeypatch):
    monkeypatch.setattr("nbtransfer.jobs.child.lower_priority", lambda: None)
    reading, writing = os.pipe()
    with os.fdopen(reading) as questions, os.fdopen(writing, "w") as answers:
        serve(questions, answers, idle=0.01)


def test_few_models_are_kept_and_used_again(lp_ft):
    cache = ModelCache()
    models = [cache.load(Snapshot(lp_ft, name)) for name in ("start", "0-lp", "1-ft")]
    assert cache.load(Snapshot(lp_ft, "start")) is models[0]
    cache.load(Snapshot(lp_ft, "best"))
    assert len(cache) == KEPT_MODELS
    assert cache.load(Snapshot(lp_ft, "start")) is models[0]
    assert cache.load(Snapshot(lp_ft, "0-lp")) is not models[1]


def test_a_replaced_best_model_is_loaded_anew(lp_ft):
    cache, best = ModelCache(), Snapshot(lp_ft, "best")
    first = cache.load(best)
    assert cache.load(best) is first
    os.utime(best.folder, ns=(0, 0))
    assert cache.load(best) is not first


def test_answers_are_one_line_of_json_each(lp_ft, home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reply = ExplainServer().answer({"run": lp_ft.id, "samples": [["test", 99]], "home": str(home), "folder": str(tmp_path)})
    assert reply == {"ok": False, "error": f"run {lp_ft.id} has no test image 99; it has 9, counted from 0"}
    assert "\n" not in json.dumps(reply)
