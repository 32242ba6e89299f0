"""Which run is meant: its order, its name, its folder, and the place of its images."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace

import pytest

import nbtransfer as nt
from nbtransfer.commands import tree as commands
from nbtransfer.errors import InputError, NbTransferError, PlanError, RunError, TaskError
from nbtransfer.jobs import own_runs, process
from nbtransfer.jobs.continuing import _recipe
from nbtransfer.jobs.draft import Draft
from nbtransfer.store import runs
from nbtransfer.ui.progress import watch
from tests.support.folders import recipe as plain
from tests.support.pictures import folder_of_pictures
from tests.support.runs import PATIENCE, elsewhere, long, recipe, until

START = "import sys, nbtransfer as nt; from nbtransfer.store import runs; from tests.support.folders import recipe;"


@pytest.fixture(autouse=True)
def a_new_notebook(monkeypatch):
    monkeypatch.setattr(own_runs, "_own", [])


@pytest.fixture
def execute():
    context = commands.CommandContext("%transfer", "notebook", Draft(), watch, print)
    return lambda *words: commands.execute(list(words), context)[1]


@pytest.fixture
def launched(monkeypatch):
    """Runs are written, and no worker takes them."""
    monkeypatch.setattr(process, "launch", lambda paths: None)


class TestOrder:
    def test_runs_of_one_second_are_in_the_order_of_their_start(self, monkeypatch):
        monkeypatch.setattr(runs.time, "strftime", lambda _format: "20260101-120000")
        made = [runs.create(plain()).id for _ in range(12)]
        assert runs.list_ids() == made[::-1]
        assert [run.id for run in nt.runs()] == made[::-1]

    def test_a_clock_that_was_set_back_changes_no_order_that_ids_would_tell(self):
        first, second = runs.create(plain()), runs.create(plain())
        spec = json.loads(second.spec.read_text())
        second.spec.write_text(json.dumps({**spec, "created": spec["created"] - 3600}))
        assert runs.list_ids() == [first.id, second.id]

    def test_a_run_that_cannot_be_read_has_the_time_of_its_id(self):
        broken = runs.create(plain())
        broken.spec.write_text("{")
        time.sleep(1.1)  # ids tell seconds
        newer = runs.create(plain())
        assert runs.list_ids() == [newer.id, broken.id]


class TestMeant:
    def test_a_notebook_means_its_own_run_and_not_a_newer_one_of_another(self, execute, images):
        own = nt.start(long(images))
        until(own, lambda state: state.history)
        other = elsewhere(f"{START} print(runs.create(recipe()).id)").strip()
        assert runs.list_ids() == [other, own.id]
        assert execute("stop").value.id == own.id
        assert own.wait(PATIENCE).status == "stopped"

    def test_an_attached_run_is_its_own_too(self, execute):
        first, _ = runs.create(plain()), runs.create(plain())
        nt.attach(first.id)
        assert execute("log").plain["id"] == first.id

    def test_looking_at_a_named_one_does_not_make_it_its_own(self, execute):
        first, second = runs.create(plain()), runs.create(plain())
        nt.attach(first.id)
        execute("log", second.id)
        assert execute("log").plain["id"] == first.id

    def test_without_one_of_its_own_it_is_asked_which(self, execute, home):
        only = runs.create(plain())
        assert execute("log").plain["id"] == only.id
        second = runs.create(plain())
        for command in ("stop", "status", "explain"):
            with pytest.raises(InputError) as error:
                execute(command)
            assert str(error.value).endswith(f"name one of those in {home}: {second.id}, {only.id}")

    def test_one_that_is_gone_is_not_meant(self, execute):
        first, second = runs.create(plain()), runs.create(plain())
        nt.attach(first.id)
        nt.attach(second.id)
        shutil.rmtree(second.root)
        assert execute("log").plain["id"] == first.id

    def test_a_dashboard_on_it_shows_no_task_of_another(self, execute, lp_ft, images):
        execute("data", str(images), "--holdout", "0.3")
        assert execute("attach", lp_ft.id).view.draft.choices.task.digest == lp_ft.task.digest
        assert execute("dashboard").value.draft.choices.task.root == str(images)

    def test_a_store_in_another_folder_is_named(self, execute, tmp_path, monkeypatch):
        monkeypatch.delenv("NBTRANSFER_HOME")
        inside = tmp_path / "project" / "notebooks"
        inside.mkdir(parents=True)
        monkeypatch.chdir(inside)
        with pytest.raises(InputError, match=f"there are no runs in {inside}/.nbtransfer; start one, or set NBTRANSFER_HOME"):
            execute("stop")
        monkeypatch.chdir(inside.parent)
        runs.create(plain())
        monkeypatch.chdir(inside)
        where = f"there are some in {inside.parent}/.nbtransfer: set NBTRANSFER_HOME"
        assert where in repr(nt.runs())
        with pytest.raises(RunError, match=where):
            nt.attach("abc")


class TestNames:
    def test_a_run_is_found_by_its_name(self, images, launched, execute):
        run = nt.start(recipe(images), name="night shift, 2nd")
        assert (run.name, nt.attach("night shift, 2nd").id) == ("night shift, 2nd", run.id)
        assert "'night shift, 2nd'" in repr(run)
        assert "night shift, 2nd" in repr(nt.runs())
        assert execute("rename", "früh", run.id[-6:]).text == f"{run.id} is now called 'früh'"
        assert nt.attach("früh").id == run.id
        with pytest.raises(RunError, match=r"there is no run 'fruh'.*did you mean 'früh'"):
            nt.attach("fruh")
        run.rename("")
        assert run.name == ""

    def test_no_two_runs_share_one(self, images, launched):
        one = nt.start(recipe(images), name="one")
        with pytest.raises(InputError, match=f"run {one.id} is already called 'one'; choose another name"):
            nt.start(recipe(images), name="one")
        assert len(nt.runs()) == 1
        two = nt.start(recipe(images), name="two")
        with pytest.raises(InputError, match="already"):
            two.rename("one")
        one.rename("one")  # its own
        assert two.name == "two"

    @pytest.mark.parametrize("name", [" ", " a", "a/b", "a\\b", "a\tb", "\x1b[0m", "x" * 81, "--all", "20260101-120000-abcdef"])
    def test_names_that_could_be_mistaken_are_refused(self, name):
        run = nt.Run(runs.create(plain()))
        with pytest.raises(InputError):
            run.rename(name)
        assert run.name == ""


class TestDeleting:
    def test_a_run_that_has_ended_is_removed_with_its_name(self, lp_ft, execute):
        lp_ft.rename("old")
        with pytest.raises(NbTransferError, match="give RUN"):
            execute("delete")
        assert str(lp_ft.paths.root) in execute("delete", "old").text
        assert not lp_ft.paths.root.exists()
        assert nt.runs() == ()
        with pytest.raises(RunError, match="is gone; its folder was removed"):
            _ = lp_ft.state
        nt.Run(runs.create(plain())).rename("old")

    def test_one_in_progress_is_not(self, images):
        run = nt.start(long(images))
        until(run, lambda state: state.history)
        with pytest.raises(RunError, match="is running; stop it first"):
            run.delete()
        run.stop()
        run.wait(PATIENCE)


class TestMoved:
    @pytest.fixture
    def moved(self, images, tmp_path):
        place = tmp_path / "elsewhere" / "pictures"
        place.parent.mkdir()
        return lambda: shutil.move(images, place)

    def test_a_run_goes_on_with_its_images_where_they_are_now(self, images, moved, execute):
        run = nt.start(long(images))
        until(run, lambda state: state.history)
        run.kill()
        run.wait(PATIENCE)
        place = moved()
        with pytest.raises(RunError, match=r"are no longer in .*run\.at"):
            run.resume()
        with pytest.raises(TaskError, match=r"are no longer in .*task\.at"):
            nt.repeat(run)
        before = len(run.history())
        execute("resume", run.id, "--data", str(place))
        until(run, lambda state: len(state.history) > before)
        run.stop()
        assert run.wait(PATIENCE).status == "stopped"
        assert nt.attach(run.id).task.root == str(place)
        assert not run.state.skipped

    def test_other_images_are_refused(self, images, tmp_path):
        task = nt.Task.from_folder(images)
        other = folder_of_pictures(tmp_path / "other")
        assert task.at(other).digest == task.digest  # the same pictures
        (other / "red" / "00.png").write_bytes((other / "blue" / "00.png").read_bytes())
        (other / "green" / "01.png").unlink()
        with pytest.raises(TaskError, match=r"2 of 36 images in .*other are not those of the task, such as .*: it "):
            task.at(other)
        with pytest.raises(TaskError, match="nowhere is missing"):
            task.at(tmp_path / "nowhere")

    def test_a_store_that_was_moved_opens_with_its_arrays(self, home, monkeypatch, tmp_path):
        import numpy as np

        pictures = np.random.default_rng(0).integers(0, 255, (8, 9, 9, 3), np.uint8)
        task = nt.Task.from_arrays(pictures, [0, 1] * 4)
        runs.create(nt.Recipe(task=task, backbone="resnet18"))
        shutil.move(home, tmp_path / "store")
        monkeypatch.setenv("NBTRANSFER_HOME", str(tmp_path / "store"))
        (run,) = nt.runs()
        assert run.task.image(run.task.samples[0]).size == (9, 9)

    def test_a_run_folder_that_was_moved_opens_by_its_path(self, lp_ft, tmp_path):
        shutil.move(lp_ft.paths.root, tmp_path / "kept")
        run = nt.attach(tmp_path / "kept")
        assert run.evaluate() == nt.attach(str(tmp_path / "kept")).evaluate()
        assert run.model().classes == ("blue", "green", "red")


class TestGoingOn:
    def test_a_finished_run_goes_on_as_a_new_one_from_its_weights(self, lp_ft):
        import torch

        before = lp_ft.evaluate()
        run = lp_ft.continue_(epochs=1, name="longer")
        assert run.wait(PATIENCE).status == "finished", run.log()
        assert (run.name, run.id != lp_ft.id, run.recipe.strategy_name, run.state.epochs) == ("longer", True, "continued", 1)
        assert lp_ft.evaluate() == before
        from nbtransfer.engine.model.transfer_model import build
        from nbtransfer.pretrained import cards

        begun, _ = build(run.recipe, cards.card(run.recipe.backbone))
        state = lp_ft.model().state_dict()
        assert all(torch.equal(tensor, state[name]) for name, tensor in begun.state_dict().items())
        assert run.plan.resolve(run._card) == lp_ft.plan.resolve(run._card)
        [kept] = (run.paths.root.parents[1] / "weights").iterdir()
        run.delete()
        assert not kept.exists()  # no other run began from it

    def test_it_goes_on_as_its_last_phase_with_what_was_changed_in_that(self, lp_ft):
        last = lp_ft.phases[-1]
        assert _recipe(lp_ft, None).strategy.phases == (last,)
        assert _recipe(lp_ft, 7).strategy.phases == (replace(last, epochs=7),)
        with pytest.raises(PlanError, match="0 epochs"):
            lp_ft.continue_(epochs=0)
        probing = nt.Run(runs.create(lp_ft.recipe))  # it has not reached its last phase
        assert probing.phases[-1].plan == last.plan != probing.plan

    def test_other_classes_take_a_new_head(self, lp_ft, tmp_path):
        from nbtransfer.engine.model.transfer_model import build
        from nbtransfer.pretrained import cards

        pictures = folder_of_pictures(tmp_path / "two")
        shutil.rmtree(pictures / "red")
        run = lp_ft.continue_(epochs=1, task=nt.Task.from_folder(pictures))
        run.kill()
        begun, _ = build(run.recipe, cards.card(run.recipe.backbone))
        assert begun.classes == ("blue", "green")
        assert not begun.head.weight.any()

    def test_one_in_progress_or_without_a_model_does_not(self):
        with pytest.raises(RunError, match="wait until it ends, or make it longer"):
            nt.Run(runs.create(plain())).continue_(epochs=1)

    def test_scores_stay_until_there_are_others(self, images):
        run = nt.start(long(images, epochs=12))
        until(run, lambda state: state.history)
        run.stop()
        assert run.wait(PATIENCE).status == "stopped"
        before = run.evaluate()
        run.resume()
        until(run, lambda state: state.resumed)
        assert run.evaluate() == before
        assert run.wait(PATIENCE).status == "finished"
        assert [found.split for found in run.state.evaluations] == ["val"]


def test_one_that_cannot_be_named_is_not_started(images, monkeypatch):
    def taken(paths, name):
        raise InputError("that name was taken meanwhile")

    monkeypatch.setattr("nbtransfer.store.run_names.write", taken)
    with pytest.raises(InputError, match="meanwhile"):
        nt.start(recipe(images, epochs=1), name="mine")
    assert not nt.runs()


def test_a_folder_that_somebody_made_among_runs_hides_no_others(home):
    run = nt.Run(runs.create(plain()))
    strange = home / "runs" / "20261399-000000-abcdef"
    strange.mkdir()
    assert nt.attach(run.id).id == run.id
    assert run.id in repr(nt.runs())
    strange.rmdir()


@pytest.mark.parametrize(
    "name", ["queue", *(pytest.param(n, marks=pytest.mark.slow) for n in ("random", "json", "types", "torch"))]
)
def test_a_file_beside_a_notebook_hides_no_module_of_python(name, images, tmp_path, monkeypatch):
    (tmp_path / f"{name}.py").write_text("raise RuntimeError('mine')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NBTRANSFER_WARM", "0")
    run = nt.start(recipe(images, epochs=1))
    assert run.wait(PATIENCE).status == "finished", run.log()
