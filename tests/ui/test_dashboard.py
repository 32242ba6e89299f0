"""The dashboard without a browser: what it synchronises, what it answers, what it leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.core.messages import Message
from nbtransfer.jobs.draft import Draft
from nbtransfer.store import runs
from nbtransfer.store.journal import JournalWriter
from nbtransfer.ui.dashboard import dashboard
from nbtransfer.ui.kept_report import kept_html
from tests.support.runs import PATIENCE, carried_out, recipe, until


@pytest.fixture
def told(monkeypatch):
    """Catch what widgets send to the browser."""
    sent = []
    monkeypatch.setattr("nbtransfer.ui.widget.Panel.send", lambda _self, message, _buffers=None: sent.append(message))
    return sent


@pytest.fixture
def made(told, images):
    board = dashboard(nt.Task.from_folder(images, holdout=0.25))
    yield board
    json.dumps(board.get_state(), allow_nan=False)  # whatever happened, a browser could still be told
    board.close()


def ask(panel, told, op, **args):
    """A request as a browser sends it, and its reply."""
    panel._answer({"kind": "request", "id": "1", "op": op, "args": args})
    return told.pop()


def test_it_begins_with_the_task_and_what_a_recipe_would_take(made):
    assert made.task["counts"]["red"] == {"train": 9, "val": 3, "test": 0}
    assert len(made.task["pictures"]["blue"]) == 6
    assert made.settings["strategy"] == "lp_ft"
    assert [p["name"] for p in made.phases] == ["lp", "ft"]
    assert made.frozen == []
    assert len(made.backbones) == len(nt.backbones())
    assert repr(made) == f"Dashboard({made.draft!r})"


def test_choices_reach_the_draft_and_the_draft_reaches_the_view(made, told):
    assert ask(made, told, "choose", backbone="resnet34", strategy="ft", epochs=4)["ok"]
    assert made.draft.recipe().backbone == made.card["name"] == "resnet34"
    made.frozen = ["stem", "layer1"]
    assert made.draft.recipe().freeze == nt.FreezePlan.up_to("resnet34", "layer1")
    made.draft.choose(freeze=nt.FreezePlan.all().thaw("layer4"), lr=0.01)
    made.tick()
    assert made.frozen == ["stem", "layer1", "layer2", "layer3"]
    assert made.settings["lr"] == 0.01
    assert ask(made, told, "choose", lr=None)["ok"]  # a field left empty
    assert made.draft.recipe().lr is None


def test_a_wrong_choice_is_one_sentence_and_changes_nothing(made, told):
    before = made.draft.choices
    for wrong, said in (({"epochs": 0}, "epochs is 0"), ({"backbone": "resnet19"}, "did you mean"), ({"lr": -1}, "lr is -1")):
        reply = ask(made, told, "choose", **wrong)
        assert (reply["ok"], said in reply["error"], reply["error"].count("\n")) == (False, True, 0)
    assert made.draft.choices is before


QUERY = {"text": "", "max_params": "", "max_multiply_adds": "", "max_size": "", "licence": "", "downloaded": False}


def test_backbones_are_searched_by_name_and_limits(made, told):
    found = ask(made, told, "find", **{**QUERY, "text": "vit tiny", "max_params": "5,6", "max_size": " 224 "})["value"]
    row = dict(found["rows"])["timm/vit_tiny_patch16_224.augreg_in21k"]
    assert row == "timm/vit_tiny_patch16_224.augreg_in21k · 5.52 M parameters · 1.25 G MACs · 224 px"
    everything = ask(made, told, "find", **{**QUERY, "text": "timm/"})["value"]
    assert len(everything["rows"]) == 100 < everything["count"]
    assert len(ask(made, told, "find", **QUERY)["value"]["rows"]) == len(nt.backbones())
    wrong = ask(made, told, "find", **{**QUERY, "max_params": "few"})["error"]
    assert wrong == "the number of million parameters is 'few', not a number; enter one such as 10 or 0.001"


def test_numbers_are_read_as_they_are_meant(made, told):
    assert ask(made, told, "choose", lr="0,001", epochs=" 12 ")["ok"]
    assert (made.draft.recipe().lr, made.draft.recipe().epochs) == (0.001, 12)
    assert "can mean 1000 or 1.000" in ask(made, told, "choose", lr="1,000")["error"]
    assert "the number of epochs is 'ten', not a number" in ask(made, told, "choose", epochs="ten")["error"]


def test_what_is_hardly_meant_is_asked_about_once(made, told):
    made.draft.choose(backbone="shufflenet_v2_x0_5", weights=None, device="cpu", image_size=40)
    ask(made, told, "choose", lr="1e6")
    assert "the learning rate is 1,000,000.0, and more than 1 is usually a typing error" in ask(made, told, "start")["error"]
    assert not nt.runs()
    run = nt.attach(ask(made, told, "start")["value"])
    run.kill()
    assert run.recipe.lr == 1e6


def test_every_request_is_answered(made, told):
    assert "no operation 'nonsense'" in ask(made, told, "nonsense")["error"]
    assert "there is no run here yet" in ask(made, told, "stop")["error"]
    assert "per_class: for folders of images only" in ask(made, told, "data", source="demo:digits", per_class=5)["error"]
    assert "please report" in ask(made, told, "stop", wrong=1)["error"]


def test_other_images_can_be_chosen(made, told, images):
    (images / "red").rename(images / "<b>red")
    assert ask(made, told, "data", source=str(images), holdout=0.5)["ok"]
    assert made.task["counts"]["<b>red"]["val"] == 6


def test_ticking_twice_the_same_is_no_news(made, told):
    revision = made.draft.revision
    made.frozen = []
    made.tick()
    assert made.draft.revision == revision
    assert [m for m in told if m["kind"] != "beat"] == []


def test_a_run_from_start_to_stop(made, told):
    ask(made, told, "choose", backbone="shufflenet_v2_x0_5", strategy="ft", epochs=5000, image_size=40, batch_size=8)
    made.draft.choose(weights=None, threads=1, device="cpu")
    reply = ask(made, told, "start")
    run = nt.attach(reply["value"])
    until(run, lambda state: len(state.history) >= 2)
    made.tick()
    assert (made.run["id"], made.run["status"], made.run["epochs"]) == (run.id, "running", 5000)
    first = [m for m in told if m["kind"] == "news"][-1]
    assert (first["points_from"], first["rows_from"]) == (0, 0)
    rows = len(first["rows"])
    until(run, lambda state: len(state.history) >= rows + 2)
    made.tick()
    second = [m for m in told if m["kind"] == "news"][-1]
    assert second["rows_from"] == rows  # only what is new
    assert ask(made, told, "stop")["ok"]
    assert run.wait(PATIENCE).status == "stopped"
    made.tick()
    assert made.run["ended"]
    assert made.result["scores"][0]["examples"] == 9
    assert json.loads(json.dumps(made.get_state(["run", "result", "task", "nodes"])))


def test_a_new_view_is_told_everything(images, told):
    run = run_with_epochs(images, 3)
    board = dashboard(run=run)
    told.clear()
    board._receive({"kind": "hello", "view": "1"})
    news = told[0]
    assert (news["points_from"], len(news["rows"])) == (0, 3)
    assert board.draft.recipe() == run.recipe  # what the run was is what the next one begins with
    board._receive({"kind": "bye", "view": "1"})
    board.close()


def run_with_epochs(images, count):
    paths = runs.create(recipe(images))
    journal = JournalWriter(paths.events, 1)
    journal.append(ev.Starting(1, "h", "3"))
    for epoch in range(1, count + 1):
        journal.append(ev.Step("ft", epoch, 3, 4, 1.0, 1e-3, 10.0))
        journal.append(ev.EpochEnded("ft", epoch, 4 * epoch, 1.0, 0.5, 1.0, 6, 9, 1e-3, 1.0, True))
    journal.close()
    return nt.attach(paths.id)


def test_a_result_has_scores_mistakes_and_the_receipt(images, told):
    run = nt.start(recipe(images, freeze=nt.FreezePlan.up_to("shufflenet_v2_x0_5", "stem"), epochs=1))
    run.wait(PATIENCE)
    monitor = nt.RunMonitor(run)
    assert monitor.result["rows"][0][0] == "blue"
    found = run.evaluate()
    assert monitor.result["wrong"] == found.examples - found.correct
    assert len(monitor.result["mistakes"]) == min(8, monitor.result["wrong"])
    assert "did not change while frozen" in monitor.result["receipt"]
    assert repr(monitor) == f"RunMonitor({run!r})"
    html = monitor.as_html()
    assert f"%transfer attach {run.id}" in html
    assert "Confusion matrices" in html


class Place:
    """A display handle."""

    def __init__(self):
        self.bundles = []

    def update(self, bundle, raw):
        self.bundles.append(bundle)


def tick_and_write(board):
    board.tick()
    if board._kept._writer:
        board._kept._writer.join()


def test_a_report_beneath_the_view_tells_of_all_its_runs_from_the_first_epoch_on(made, told, monkeypatch):
    monkeypatch.setattr("nbtransfer.ui.kept_report.EVERY", 0.0)
    place = Place()
    made._kept._place = place
    small(made)
    made.choose(epochs=300)
    first = nt.attach(ask(made, told, "start")["value"])
    until(first, lambda s: len(s.history) >= 1)
    tick_and_write(made)
    assert f"<td>{first.id}</td><td>running</td>" in place.bundles[-1]["text/html"]
    assert "<svg" in place.bundles[-1]["text/html"]
    first.stop()
    first.wait(PATIENCE)
    small(made)
    second = nt.attach(ask(made, told, "start")["value"])
    second.wait(PATIENCE)
    tick_and_write(made)
    written = place.bundles[-1]
    assert f"<td>{first.id}</td><td>stopped</td>" in written["text/html"]
    assert f"<td>{second.id}</td><td>finished</td>" in written["text/html"]
    assert f"%transfer attach {second.id}" in written["text/html"]
    assert "Confusion matrices" in written["text/html"]
    assert written["text/plain"] == f"{first!r}\n{second!r}"
    tick_and_write(made)
    assert place.bundles[-1] is written  # nothing is new


def test_a_failed_run_leaves_a_report_too(images):
    paths = runs.create(recipe(images))
    journal = JournalWriter(paths.events, 1)
    for event in (ev.Starting(1, "h", "3"), ev.Failed(Message("the disk is gone"))):
        journal.append(event)
    journal.close()
    html = kept_html([nt.attach(paths.id)])
    assert f"<td>{paths.id}</td><td>failed</td>" in html
    assert "failed: the disk is gone" in html
    assert "ended before it could compare its layers" in html


def test_the_kernel_never_loads_torch_for_it(images):
    code = (
        "import sys, nbtransfer as nt; d = nt.dashboard(nt.Task.from_folder(sys.argv[1]));"
        "d.choose(backbone='vit_b_16'); d.frozen = ['stem']; d.tick(); nt.LayerTree('resnet18').plan;"
        "print([m for m in ('torch', 'captum', 'matplotlib.pyplot') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(images)], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_dashboard_shares_a_draft(images):
    draft = Draft()
    board = nt.dashboard(draft=draft)
    draft.choose(task=nt.Task.from_folder(images))
    board.tick()
    assert board.task["name"] == "images"
    board.close()


def test_what_is_wrong_with_images_is_said_by_name(made, told, images):
    (images / "red" / "00.png").write_bytes(b"no image")
    reply = ask(made, told, "data", source=str(images))
    assert "red/00.png" in reply["error"]
    assert made.task["counts"]["red"]["train"] == 9


def small(board):
    board.draft.choose(
        backbone="shufflenet_v2_x0_5",
        weights=None,
        strategy="ft",
        epochs=1,
        image_size=32,
        batch_size=8,
        threads=1,
        device="cpu",
    )


def test_a_second_run_takes_the_place_of_the_first(made, told):
    small(made)
    first = nt.attach(ask(made, told, "start")["value"])
    assert "still in progress" in ask(made, told, "start")["error"]  # another view may press Start too
    first.wait(PATIENCE)
    made.tick()
    made.pictures.append("<svg></svg>")
    assert made.result["scores"]
    second = nt.attach(ask(made, told, "start")["value"])
    assert (made.run["id"], made.result, made.pictures) == (second.id, {}, [])
    second.wait(PATIENCE)
    made.tick()
    assert made.result["scores"]


def test_a_strategy_and_weights_of_ones_own_are_named(made, tmp_path):
    plan = nt.FreezePlan.all()
    made.draft.choose(strategy=nt.Strategy("mine", (nt.Phase("probe", plan, 2),)))
    made.tick()
    assert made.settings["strategy"] == "mine"
    made.draft.choose(weights=None)
    made.tick()
    assert made.card["weights"] == "random weights"
    made.choose(backbone="resnet34")  # weights chosen for other layers do not follow
    assert "IMAGENET1K_V1" in made.card["weights"]


def test_of_questions_that_wait_only_the_newest_is_answered(made, told, images, monkeypatch):
    class Slow:
        def __init__(self):
            self.asked, self.go = [], threading.Event()

        def ask(self, request):
            self.asked.append(request["target"])
            self.go.wait(10)
            return {"ok": True, "svg": "", "caption": request["target"], "header": [], "table": []}

    slow = Slow()
    monkeypatch.setattr("nbtransfer.comparison.client.shared_explainer", lambda: slow)
    made._runs.watch(run_with_epochs(images, 1))
    for number in range(5):
        waiting = made._comparison._newest
        made._receive({"kind": "request", "id": number, "op": "explain", "args": {"target": str(number)}})
        while made._comparison._newest == waiting or not slow.asked:
            threading.Event().wait(0.01)
    slow.go.set()
    while sum(m["kind"] == "reply" for m in told) < 5:
        threading.Event().wait(0.01)
    assert slow.asked == ["0", "4"]
    assert {m["id"] for m in told if m["kind"] == "reply" and m["ok"]} == {0, 4}


def test_an_error_while_looking_is_said_and_does_not_end_the_view(made, told, monkeypatch):
    monkeypatch.setattr(made._runs, "look", lambda: 1 / 0)
    made._tick()
    assert "ZeroDivisionError" in made.problem
    assert told[-1] == {"kind": "beat"}


def test_many_classes_stay_small(told):
    import numpy as np

    images = np.random.default_rng(0).integers(0, 255, (200, 8, 8, 1), dtype=np.uint8)
    task = nt.Task.from_arrays(images, np.arange(200) % 50, holdout=0.25)
    run = carried_out(
        nt.Recipe(
            task=task, backbone="shufflenet_v2_x0_5", weights=None, strategy="lp", epochs=1, image_size=32, threads=1,
            device="cpu",
        )
    )  # fmt: skip
    board = nt.dashboard(run=run)
    assert "<svg class=nbt-shades" in board.result["confusion"]
    assert len(board.task["pictures"]) == 50
    assert board.result["confusion"] in board.as_html()
    assert len(board.as_html()) < 1_000_000
    assert len(board._repr_mimebundle_()[0]["text/html"]) < 1000
    board.close()
