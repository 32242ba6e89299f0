"""The magics in a real IPython shell, with real small runs."""

from __future__ import annotations

import inspect

import pytest
from IPython.core.error import UsageError

import nbtransfer as nt
from nbtransfer.commands import choosing
from nbtransfer.commands import tree as commands
from nbtransfer.jobs import checks
from nbtransfer.jobs.draft import Draft
from tests.support.runs import PATIENCE, recipe, until
from tests.support.shell import new_shell

SMALL = "--weights none --strategy ft --epochs 2 --batch-size 8 --image-size 40 --device cpu --threads 1 --precision fp32"
BACKBONE = "shufflenet_v2_x0_5"


class Cell:
    """What a cell came to."""

    def __init__(self, result, said):
        self.value = result.result
        self.error = result.error_before_exec or result.error_in_exec
        self.out, self.err = said
        self.ok = result.success


@pytest.fixture
def shell(tmp_path):
    made = new_shell(tmp_path)
    yield made
    nt.unload_ipython_extension(made)


@pytest.fixture
def cell(shell, capsys):
    """Run a cell with the extension loaded."""

    def run(code):
        result = shell.run_cell(code, store_history=False)
        out, err = capsys.readouterr()
        # The display hook has its say after ours; a value is returned here anyway.
        return Cell(result, (out.split("Out[")[0], err))

    loaded = run("%load_ext nbtransfer")
    assert (loaded.ok, loaded.out, loaded.err) == (True, "", "")
    return run


def one_line(done):
    assert isinstance(done.error, UsageError), done.err
    assert done.out.rpartition("\r")[2] == ""
    said = done.err.strip() or str(done.error)
    assert len(said.splitlines()) == 1, said
    return str(done.error)


class TestChoosing:
    def test_a_draft_comes_together(self, cell, images):
        assert (
            repr(cell(f"%transfer data '{images}' --holdout 0.25").value)
            == "Task('images', 3 classes (blue, green, red), 27 train + 9 val)"
        )
        draft = cell("%transfer backbone resnet18").value
        assert isinstance(draft, Draft)
        assert cell("%transfer freeze stem layer1").value is draft
        assert "10.5 M" in repr(cell("%transfer freeze layer2").value)
        done = cell("d = %transfer thaw layer2.* --lr 0.1")
        assert (done.value, done.out) == (None, "")
        assert draft.plan.resolve(draft.card)["layer2.0.conv1"].lr == 0.1
        assert not draft.plan.resolve(draft.card)["layer1.0.conv1"].learns

    def test_another_backbone_takes_its_own_weights(self, cell):
        cell("%transfer backbone resnet18 --weights none")
        assert cell("%transfer backbone vgg11").value.choices.settings["weights"] == "default"

    def test_variables_are_put_in(self, cell, images, shell):
        shell.user_ns |= {"folder": images, "share": 0.25}
        assert cell('%transfer data "{folder}" --holdout $share --seed 1').value.sizes["val"] == 9

    def test_stages_are_said(self, cell):
        done = cell("%transfer backbones resnet18")
        assert done.out.startswith("stages: stem (9,536), layer1 (147,968)")
        assert [card.name for card in done.value][:2] == ["resnet18", "timm/legacy_seresnet18.in1k"]

    def test_what_was_frozen_by_hand_follows_a_strategy_that_freezes_the_same(self, images):
        draft = Draft(nt.Task.from_folder(images))
        draft.choose(freeze=draft.plan.freeze("layer1"))
        with_options = choosing.recipe_with
        assert with_options(draft, {"strategy": "ft"}).freeze == draft.plan
        assert with_options(draft, {"epochs": 3}).freeze == draft.plan
        assert with_options(draft, {"strategy": "lp"}).freeze is None
        assert with_options(draft, {"backbone": "vgg11"}).freeze is None
        assert draft.choices.settings == {}


class TestRuns:
    def test_from_start_to_end(self, cell, shell, images, tmp_path):
        cell(f"%transfer data '{images}'")
        cell(f"%transfer backbone {BACKBONE}")
        cell("%transfer freeze stem")
        done = cell(f"run = %transfer start {SMALL} --wait")
        assert done.ok, done.err
        run = shell.user_ns["run"]
        assert run.state.status == "finished", run.log()
        first, last, caveat, *_ = done.out.strip("\n").split("\n")
        assert first == f"ft on {BACKBONE}, 2 epochs; 341 k of 342 k shared parameters learn: stage2, stage3, stage4, conv5"
        assert last.rpartition("\r")[2].startswith("finished: accuracy ")
        assert caveat.startswith("  - there are no test images")
        assert run.id not in done.out
        assert cell("%transfer freeze stem").value.recipe().epochs == 10  # what was said at the start held for that run
        self.looked_at(cell, run, tmp_path)

    def looked_at(self, cell, run, tmp_path):
        for named in ("", run.id, run.id[-6:], "run"):
            status = cell(f"%transfer status {named}")
            assert (status.value, status.out.startswith(f"{run.id}: finished")) == (None, True)
        assert repr(cell("%transfer runs").value) == repr(nt.runs())
        assert cell("%transfer wait run").out.startswith("finished")
        assert cell("%transfer stop").out.startswith(f"{run.id} has already ended")
        assert cell("%transfer log --lines 1").ok
        assert cell(f"%transfer export {tmp_path / 'model'}").value == tmp_path / "model"
        found = cell("%transfer explain run --before start").value
        assert len(found) == 4
        one = cell(f"%transfer explain {tmp_path / 'images' / 'red' / '00.png'} --target blue --before start").value
        assert len(one) == 1
        assert "there is no class 'bleu'; did you mean 'blue'?" in one_line(
            cell("%transfer explain --target bleu --before start")
        )

    def test_a_recipe_in_a_cell(self, cell, shell, images):
        cell(f"%transfer backbone {BACKBONE}")
        text = f"task: {{path: {images}, holdout: 0.25}}\nweights: none\nstrategy: ft\nepochs: 5000\nfreeze: [stem]\nlr: 1e-3\n"
        done = cell(f"%%transfer -o run\n{text}image_size: 40\nbatch_size: 8\nthreads: 1\ndevice: cpu\n")
        assert done.ok, done.err
        run = shell.user_ns["run"]
        assert (done.value, run.recipe.lr, run.recipe.backbone) == (None, 1e-3, BACKBONE)
        assert run.recipe.freeze == nt.FreezePlan.none().freeze("stem")
        until(run, lambda s: s.history)
        shell.user_ns["interrupted"] = Interrupted(run)
        assert "runs continue in the background" in one_line(cell("%transfer wait interrupted"))
        assert not run.state.ended
        assert cell("%transfer wait run --timeout 0").out.startswith("running")
        assert cell("%transfer stop run").out == f"{run.id} will stop after this step\n"
        assert run.wait(PATIENCE).status == "stopped"

    def test_a_failed_run_is_a_value(self, cell, shell, images, monkeypatch):
        monkeypatch.setattr(checks, "_check_device", lambda recipe: None)  # the device is gone once the worker needs it
        cell(f"%transfer data '{images}'")
        done = cell(f"run = %transfer start --backbone {BACKBONE} {SMALL} --device cuda:99 --wait")
        assert done.ok
        assert "failed: device is 'cuda:99', but torch sees" in done.out
        assert shell.user_ns["run"].state.status == "failed"


class TestDashboard:
    def test_it_is_the_value_of_the_cell_and_shares_the_draft(self, cell, shell):
        shown = cell("%transfer").value
        draft = cell("%transfer freeze layer1").value
        assert shown.draft is draft
        done = cell("d = %transfer dashboard")
        assert (done.value, shell.user_ns["d"].draft) == (None, draft)

    def test_attaching_shows_it_on_the_run(self, cell, shell, images):
        run = nt.start(recipe(images))
        done = cell(f"run = %transfer attach {run.id[-6:]}")
        assert done.ok, done.err
        assert shell.user_ns["run"].id == run.id
        assert "Dashboard" in done.out
        run.stop()
        run.wait(PATIENCE)


class Interrupted(nt.Run):
    """A run whose watcher loses patience."""

    def __init__(self, run):
        super().__init__(run.paths)

    def follow(self, timeout=None):
        yield self.state, False
        raise KeyboardInterrupt


class TestMistakes:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("strat", "there is no command 'strat'; did you mean"),
            ("help strat", "did you mean 'start'"),
            ("start", "there is no target task yet"),
            ("start --epoch two", "--epochs should be a whole number, not 'two'; see %transfer start --help"),
            ("start --stratgy lp", "%transfer start has no option '--stratgy'; did you mean 'strategy'"),
            ("start --strategy lpft", "did you mean 'lp_ft'"),
            ("start --freeze a --thaw b", "give either --freeze or --thaw"),
            ("data", "%transfer data: give task"),
            ("data nowhere", "nowhere is missing; give a folder with one folder per class"),
            ("data demo:textil", "there is no demo task 'textil'; did you mean 'textile'?"),
            ("data demo:digits --per-class 20", "per_class: for folders of images only"),
            (r'data "a\0b" x', "does not expect 'x'"),
            ("data {folder}", "{folder} was not substituted; is 'folder' defined in this notebook?"),
            ("data $folder/x", "$folder was not substituted; is 'folder' defined in this notebook?"),
            ("data 'x", "close the quotes"),
            ("backbone resnet19", "did you mean 'resnet18'"),
            ("freeze layer9", "no layer of resnet18 is called 'layer9'; did you mean 'layer1'"),
            ("thaw layer1 --lr -1", "use a number from 0 up"),
            ("status", "there are no runs in"),
            ("attach abc", "there is no run 'abc'"),
            ("explain", "there are no runs in"),
        ],
    )
    def test_each_is_one_line(self, cell, line, message):
        assert message in one_line(cell(f"%transfer {line}"))

    @pytest.mark.parametrize(
        ("words", "body", "message"),
        [
            ("-o 1", "lr: 3", "'1' is not a valid variable name"),
            ("-o class", "lr: 3", "'class' is not a valid variable name"),
            ("start", "lr: 3", "unrecognized arguments: start; see %%transfer --help"),
            ("", "optimizer: adam", "line 1: there is no setting 'optimizer'; did you mean 'optimiser'"),
            ("", "epochs: 3", "there is no target task yet"),
            ("", "task: demo:textil", "line 1: there is no demo task 'textil'; did you mean 'textile'?"),
        ],
    )
    def test_each_is_one_line_in_a_cell(self, cell, words, body, message):
        assert message in one_line(cell(f"%%transfer {words}\n{body}"))


class TestCode:
    """`%%transfer_code`."""

    def test_a_cell_becomes_a_module_that_a_run_uses(self, cell, shell, images):
        done = cell("%%transfer_code mine\ndef same(image):\n    return image\n")
        assert done.ok
        assert (done.value, done.out) == (None, "recipes can use mine.same\n")
        assert cell("mine.same(3)").value == 3
        cell(f"%transfer data {images}")
        run = cell(f"%transfer start --backbone {BACKBONE} {SMALL} --transform mine.same").value
        assert run.wait(PATIENCE).status == "finished"
        assert run.recipe.code[0].source == "def same(image):\n    return image\n"
        assert "# mine.py, sha256" in cell(f"%transfer trust {run.id}").out

    @pytest.mark.parametrize(
        ("words", "body", "message"),
        [
            ("", "x = 1", "name the module"),
            ("a b", "x = 1", "name the module"),
            ("mine", "def (", "the code 'mine' is not valid Python"),
            ("mine", "import torch\nx = y", "NameError: name 'y' is not defined (line 2)"),
        ],
    )
    def test_what_cannot_be_is_one_line(self, cell, words, body, message):
        assert message in one_line(cell(f"%%transfer_code {words}\n{body}"))

    def test_what_only_the_notebook_knows(self, cell):
        cell("class Head:\n    pass")
        failed = cell("import nbtransfer as nt\nnt.Recipe(task=nt.Task.demo('digits'), backbone='resnet18', head=Head)")
        assert "begins with `%%transfer_code mine`, including its imports, then use head='mine.Head'" in str(failed.error)


class TestHelp:
    def test_on_every_level(self, cell):
        for name in commands.tree("notebook"):
            for line in (f"help {name}", f"{name} --help", f"{name} -h"):
                done = cell(f"%transfer {line}")
                assert done.ok
                assert done.value is None
                assert done.out.startswith(f"usage: %transfer {name} "), line
        everything = cell("%transfer help").out
        assert set(commands.tree("notebook")) <= set(everything.split())
        assert cell("%transfer --help").out == everything
        assert "usage: %%transfer [-h] [-o NAME] [--wait] [--unusual]" in cell("%%transfer --help\nx").out

    def test_defaults_said_are_those_that_hold(self, cell):
        default = inspect.signature(nt.explain).parameters["baseline"].default
        assert f"(default: {default})" in " ".join(cell("%transfer explain --help").out.split())

    def test_question_mark(self, shell, cell):
        doc = shell.object_inspect("%transfer")["docstring"]
        assert set(commands.tree("notebook")) <= set(doc.split())


class TestExtension:
    def test_loading_again_keeps_the_draft(self, cell, shell):
        draft = cell("%transfer freeze layer1").value
        nt.load_ipython_extension(shell)
        assert cell("%reload_ext nbtransfer").out == ""
        assert cell("%transfer freeze stem").value is draft
        assert len(shell.Completer.custom_matchers) == 1

    def test_two_shells_have_two_drafts(self, cell, tmp_path):
        other = new_shell(tmp_path)
        other.run_line_magic("load_ext", "nbtransfer")
        assert other.run_line_magic("transfer", "freeze layer1") is not cell("%transfer freeze layer1").value

    def test_unloading_leaves_nothing(self, cell, shell, tmp_path):
        before = pristine(new_shell(tmp_path))
        cell("%unload_ext nbtransfer")
        assert "not found" in str(cell("%transfer").error)
        assert pristine(shell) == before
        cell("%unload_ext nbtransfer")


def pristine(shell):
    named = shell.magics_manager.magics
    return shell.Completer.custom_matchers, set(named["line"]), set(named["cell"])
