"""Public calls with wrong arguments: one sentence with the right cause that says what to do, before a worker starts."""

from __future__ import annotations

import copy
import inspect
import pickle

import numpy as np
import pytest

import nbtransfer as nt
from nbtransfer.commands import tree as commands
from nbtransfer.core import events as ev
from nbtransfer.core.messages import message
from nbtransfer.jobs import own_runs
from nbtransfer.jobs.draft import Draft
from nbtransfer.store import runs
from nbtransfer.store.journal import JournalWriter
from nbtransfer.ui.progress import watch

SMALL = {"backbone": "shufflenet_v2_x0_5", "weights": None, "image_size": 40}


@pytest.fixture
def task(images):
    return nt.Task.from_folder(images, holdout=0.25)


@pytest.fixture
def recipe(task):
    return nt.Recipe(task=task, **SMALL)


def sentence(call, **given):
    """What a call says; nothing may have been started."""
    names = inspect.signature(call).parameters if call.__name__ == "<lambda>" else ()
    before = runs.list_ids()
    with pytest.raises(nt.NbTransferError) as error:
        call(**{name: given[name] for name in names})
    said = str(error.value)
    assert runs.list_ids() == before
    assert "\n" not in said
    assert not {"TypeError", "positional", "__init__", "NoneType", "unexpected keyword"} & {*said.replace("'", " ").split()}
    return said


def check(call, parts, **given):
    said = sentence(call, **given)
    for part in (parts,) if isinstance(parts, str) else parts:
        assert part in said, said


RECIPE = [
    (lambda task: nt.Recipe(task, "resnet18"), ("Recipe takes no argument without a name", "task=…, backbone=…")),
    (lambda task: nt.Recipe(task=task), "Recipe needs backbone"),
    (nt.Recipe, "Recipe needs task and backbone"),
    (
        lambda: nt.Recipe(task="images/", backbone="resnet18"),
        "task should be an nbtransfer Task, not 'images/'; see Task.from_folder",
    ),
    (lambda task: nt.Recipe(task=task, backbone=None), "backbone should be text, not None"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", optimizer="adam"), ("'optimizer'", "did you mean 'optimiser'?")),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", learning_rate=1e-3), "did you mean 'lr'?"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", bs=16), "did you mean 'batch_size'?"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", num_epochs=3), "did you mean 'epochs'?"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", epoch=3), "did you mean 'epochs'?"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", wd=0.1), "did you mean 'weight_decay'?"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", img_size=64), "did you mean 'image_size'?"),
    (
        lambda task: nt.Recipe(task=task, backbone="resnet18", epochs="3"),
        "epochs is '3'; use a whole number from 1 to 1,000,000",
    ),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", epochs=2.5), "epochs is 2.5; use a whole number"),
    (
        lambda task: nt.Recipe(task=task, backbone="resnet18", epochs=10**9),
        "epochs is 1000000000; use a whole number from 1 to",
    ),
    (
        lambda task: nt.Recipe(task=task, backbone="resnet18", threads=10_000),
        "threads is 10000; use a whole number from 1 to 1,024",
    ),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", lr=-1), "lr is -1; use a number above 0, and at most 1e+30"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", lr=0), "lr is 0; use a number above 0, and at most 1e+30"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", clip_grad=0), "clip_grad is 0; use a number above 0"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", crop=2), "crop is 2; use a number from 0.05 to 1, or None"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", lr="fast"), "lr is 'fast'; use a number"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", lr=True), "lr is True; use a number"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", optimiser=None), "optimiser is None; use one of"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", strategy="linear_probe"), "did you mean 'lp'?"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", strategy=3), "strategy should be text or a Strategy, not 3"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", freeze="layer1"), "freeze should be a FreezePlan"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", augment="flip"), "augment is 'flip'; use a list"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", augment=["color"]), "did you mean 'colour'?"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", device=0), "device should be text, not 0"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", device="gpu"), "device is 'gpu'; use 'auto', 'cpu', 'cuda'"),
    (lambda task: nt.Recipe(task=task, backbone="resnet18", device="cpu", precision="fp16"), "needs a GPU"),
]
STARTING = [
    (lambda: nt.start(None), "recipe should be a Recipe, not None"),
    (lambda task: nt.start(recipe=task), ("recipe should be a Recipe, not a Task", "nt.Recipe(task=task")),
    (nt.start, "start needs recipe"),
    (lambda recipe: nt.start(recipe, "mine"), ("start takes one argument without a name", "name=…")),
    (lambda recipe: nt.start(recipe, wait=True), "start has no argument 'wait'"),
    (lambda recipe: nt.start(recipe, name="a/b"), "use printable characters without slashes"),
    (lambda recipe: nt.start(recipe, name="x" * 81), "has 81 characters; use at most 80"),
    (lambda recipe: nt.start(nt.Recipe(task=recipe.task, backbone="resnt18")), "did you mean 'resnet18'"),
    (lambda recipe: nt.start(nt.Recipe(task=recipe.task, **{**SMALL, "weights": "none.pt"})), "there is no weights file"),
    (
        lambda recipe: nt.start(nt.Recipe(task=recipe.task, **{**SMALL, "weights": "/etc"})),
        "/etc is a folder, not a weights file",
    ),
    (lambda recipe: nt.start(nt.Recipe(task=recipe.task, **SMALL, device="cuda:99")), ("device is 'cuda:99'", "device='auto'")),
    (lambda: nt.repeat("20260101"), ("run should be a run", "nt.attach(id)")),
    (lambda recipe: nt.repeat(run=recipe), ("run should be a run", "nt.start(recipe)")),
    (lambda: nt.repeat(None), "run should be a run (from nt.start or nt.attach), not None"),
    (lambda: nt.attach(None), "run_id should be"),
    (lambda: nt.attach(3), "run_id should be"),
    (nt.attach, "attach needs run_id"),
    (lambda: nt.attach("/nowhere/at/all"), "is not a run folder"),
    (lambda: nt.Run("20260101"), "use nt.start(recipe), or nt.attach(id)"),
    (lambda: nt.runs("finished"), "runs takes no argument without a name; leave it out"),
    (lambda: nt.runs(1, 2), "runs takes no argument without a name; leave them out"),
    (lambda: nt.attach(["20260101"]), ("run_id should be", "not a list; give one id")),
    (lambda: nt.dashboard("images/"), ("task should be", "nt.Task.from_folder(path)")),
    (lambda: nt.dashboard(run=3), "run should be"),
    (lambda: nt.dashboard(tasks=3), "did you mean 'task'?"),
    (lambda: nt.RunMonitor(None), "run should be a run"),
    (lambda: nt.LayerTree(None), "backbone should be"),
    (lambda: nt.LayerTree("resnet18", "layer1"), ("plan should be a FreezePlan", "'layer1'")),
    (lambda: nt.LayerTree("resnet18", freez=3), "LayerTree has no argument 'freez'"),
    (lambda: nt.explain(None, None), "run should be a run"),
    (lambda: nt.explain("cat.png", "run"), ("run should be a run", "nt.attach(id)")),
    (lambda: nt.clear_caches("zzz"), "no key begins with 'zzz'; there are no caches"),
    (lambda: nt.clear_caches(None), "keys should be text, not None"),
    (lambda: nt.caches(1), "caches takes no argument"),
    (lambda: nt.delete_backbone("zzz"), "no saved shared layers 'zzz'"),
    (lambda: nt.delete_backbone(None), "name should be text, not None"),
    (lambda: nt.add_backbone("/nope"), "/nope holds no saved shared layers"),
    (lambda: nt.add_backbone(None), "folder should be text or a path, not None"),
    (lambda: nt.pretrain("images/"), "task should be"),
    (lambda: nt.recipes.founding("images/"), "task should be"),
    (lambda: nt.code(None, "x = 1"), "name should be text, not None"),
    (lambda: nt.code("mine"), "code needs source"),
    (lambda: nt.load_model("/nope"), "/nope does not exist; give the folder that run.export wrote"),
    (lambda: nt.load_model("/etc/hostname"), "/etc/hostname is a file; give the folder that run.export wrote"),
    (lambda: nt.load_model(None), "folder should be text or a path, not None"),
    (lambda: nt.predict(None, "cat.png"), ("model should be a model", "run.model()")),
    (lambda: nt.predict("cat.png", None), "model should be a model"),
]
TASKS = [
    (lambda: nt.Task.from_folder(None), "root should be text or a path, not None"),
    (lambda: nt.Task.from_folder(["L/A", "L/a"]), "root should be text or a path, not a list; give one folder"),
    (nt.Task.from_folder, "Task.from_folder needs root"),
    (lambda: nt.Task.from_folder("https://example.org/images.zip"), ("is a URL", "download")),
    (lambda: nt.Task.from_folder("nowhere"), "nowhere is missing"),
    (lambda images: nt.Task.from_folder(images, 0.2), ("takes one argument without a name", "holdout=…")),
    (lambda images: nt.Task.from_folder(images, val_split=0.2), "did you mean 'holdout'?"),
    (lambda images: nt.Task.from_folder(images, holdout="a"), "holdout should be a number, not 'a'"),
    (lambda images: nt.Task.from_folder(images, per_class="5"), "per_class should be a whole number or None, not '5'"),
    (lambda images: nt.Task.from_folder(images, unreadable="drop"), "unreadable is 'drop'; use 'error' or 'skip'"),
    (lambda images: nt.Task.from_folder(images, groups=3), "groups should be"),
    (lambda: nt.Task.from_arrays(None, None), "it is None, not an image"),
    (lambda: nt.Task.from_arrays(np.zeros((4, 8, 8, 3), np.uint8)), "Task.from_arrays needs y"),
    (lambda: nt.Task.from_arrays([[1], [1, 2]], [0, 1]), "it cannot be read as one array"),
    (lambda: nt.Task.from_code(None), "dataset should be"),
    (lambda: nt.Task.demo(None), "name should be text, not None"),
    (lambda: nt.Task.demo("textiles"), "did you mean 'textile'?"),
    (lambda: nt.Task.demo("digits", holdot=0.1), "did you mean 'holdout'?"),
    (lambda: nt.Task("images/"), "call Task.from_folder(path)"),
    (lambda task: task.some("redd", 3), "did you mean 'red'?"),
    (lambda task: task.some(3, "red"), "name should be text, not 3"),
    (lambda task: task.split("valid"), "did you mean 'val'?"),
    (lambda task: task.image(None), "sample should be a Sample, not None"),
    (lambda task: task.at(None), "place should be text or a path, not None"),
    (lambda task: task.at("nowhere"), "nowhere is missing"),
]
PLANS = [
    (lambda: nt.FreezePlan("layer1"), "rules should be a list, not 'layer1'"),
    (lambda: nt.FreezePlan().freeze(["layer1"]), ("layers should be text, not a list", "*names")),
    (lambda: nt.FreezePlan().freeze(None), "layers should be text, not None"),
    (lambda: nt.FreezePlan().thaw("layer1", lr="fast"), "lr should be a number or None, not 'fast'"),
    (lambda: nt.FreezePlan().thaw("layer1", learning_rate=1), "did you mean 'lr'?"),
    (lambda: nt.FreezePlan().norm(None), "mode should be"),
    (lambda: nt.FreezePlan().norm("frosen"), "normalisation mode 'frosen' is unknown"),
    (lambda: nt.FreezePlan().table(None), "backbone should be"),
    (lambda: nt.FreezePlan.up_to("layer1", "resnet18"), "there is no backbone 'layer1'"),
    (lambda: nt.FreezePlan.up_to("resnet18"), "FreezePlan.up_to needs stage"),
    (lambda: nt.Phase("a", "layer1", 3), "plan should be a FreezePlan"),
    (lambda: nt.Phase("a", nt.FreezePlan.all(), "3"), "epochs should be a whole number, not '3'"),
    (lambda: nt.Phase("a", nt.FreezePlan.all(), 10**9), "has 1000000000 epochs; give it a whole number from 1 to 1,000,000"),
    (lambda: nt.Phase("a", nt.FreezePlan.all(), 3, schedule="onecycle"), "did you mean 'one_cycle'?"),
    (lambda: nt.Phase("a", nt.FreezePlan.all()), "Phase needs epochs"),
    (lambda: nt.Strategy("mine", None), "phases should be a list, not None"),
    (lambda: nt.Strategy("mine", ["a"]), "each of phases should be a Phase, not 'a'"),
    (lambda: nt.Strategy(phases=()), "Strategy needs name"),
    (lambda: nt.backbone(None), "name should be text, not None"),
    (lambda: nt.backbone("resnet19"), "did you mean 'resnet18'"),
    (lambda: nt.backbone("timm/resnet5"), "did you mean 'timm/resnet"),
    (lambda: nt.backbones(3), "text should be text, not 3"),
]


@pytest.mark.parametrize(("call", "parts"), [*RECIPE, *STARTING, *TASKS, *PLANS])
def test_a_wrong_call_is_answered_with_one_sentence(call, parts, images, task, recipe):
    check(call, parts, images=images, task=task, recipe=recipe)


RUN = [
    (lambda run: run.evaluate("tset"), ("no scores on 'tset'", "did you mean 'test'?")),
    (lambda run: run.evaluate("train"), "they are of 'val' and 'test'"),
    (lambda run: run.evaluate(1), "split should be text or None, not 1"),
    (lambda run: run.predictions("valid"), "did you mean 'val'?"),
    (lambda run: run.predictions(None), "split should be text, not None"),
    (lambda run: run.pause(), ("is finished, so there is nothing to pause", "run.continue_(epochs=…)")),
    (lambda run: run.resume(), ("is finished, so there is nothing to resume", "run.continue_(epochs=…)")),
    (lambda run: run.set_lr(0.1), ("is finished, so there is nothing to change", "run.continue_(epochs=…)")),
    (lambda run: run.set_lr("fast"), "lr should be a number, not 'fast'"),
    (lambda run: run.set_lr(), "run.set_lr needs lr"),
    (lambda run: run.set_epochs(None), "epochs should be a whole number, not None"),
    (lambda run: run.set_epochs(2.5), "epochs should be a whole number, not 2.5"),
    (lambda run: run.freeze(), "freeze needs the name of a layer or stage"),
    (lambda run: run.freeze(["conv5"]), ("layers should be text, not a list", "*names")),
    (lambda run: run.freeze("conv9"), "no layer of shufflenet_v2_x0_5 is called 'conv9'"),
    (lambda run: run.thaw("conv5", lr="x"), "lr should be a number or None"),
    (lambda run: run.replan("conv5"), "plan should be a FreezePlan"),
    (lambda run: run.wait("10"), "timeout should be a number or None, not '10'"),
    (lambda run: run.wait(seconds=3), "did you mean 'timeout'?"),
    (lambda run: run.log("all"), "lines should be a whole number, not 'all'"),
    (lambda run: run.follow("x"), "timeout should be a number or None"),
    (lambda run: run.stop(3), "run.stop takes no argument without a name"),
    (lambda run: run.export(["x"]), "folder should be text or a path, not a list; give one folder"),
    (lambda run: run.rename(["x"]), "name should be text, not a list; give one name"),
    (lambda run: run.save_backbone(None), "name should be text, not None"),
    (lambda run: run.save_backbone("../x"), "'../x' is not a valid name for a saved backbone"),
    (
        lambda run: run.predict("a.png", "b.png"),
        "run.predict takes one argument without a name; give a list: run.predict([a, b])",
    ),
    (lambda run: nt.load_model(folder=run), "folder should be text or a path, not a Run; the model of a run is run.model()"),
    (lambda run: run.export(None), "folder should be text or a path, not None"),
    (lambda run: run.predict(None), "it is None, not an image; give a path, a PIL image"),
    (lambda run: run.predict("https://example.org/cat.png"), "it is a URL; download it first"),
    (lambda run: run.rename(None), "name should be text, not None"),
    (lambda run: run.rename("a\nb"), "use printable characters without slashes"),
    (lambda run: run.rename(run.id), "it looks like an id"),
    (lambda run: run.at(None), "place should be text or a path, not None"),
    (lambda run: run.continue_(epochs="3"), "epochs should be a whole number or None, not '3'"),
    (lambda run: run.continue_(task="images/"), "nt.Task.from_folder(path)"),
    (lambda run: run.continue_(backbone="resnet18"), "backbone cannot change"),
    (lambda run: run.continue_(optimizer="adam"), "did you mean 'optimiser'?"),
    (nt.explain, "explain needs run and images"),
    (lambda run: nt.explain(run, None), "it is None, not an image; give a path, a PIL image"),
    (lambda run: nt.explain(run, "x.png", before=3), "before should be a run"),
    (lambda run: nt.predict(run, "x.png"), "use run.predict(images), or run.model()"),
    (lambda run: nt.start(recipe=run), ("recipe should be a Recipe, not a Run", "nt.repeat(run)")),
]


def test_a_finished_run_answers_wrong_calls_with_one_sentence(lp_ft):
    for call, parts in RUN:
        check(call, parts, run=lp_ft)


def test_scores_on_a_split_without_images_are_not_waited_for(task):
    run = runs_without_worker(task)
    check(lambda run: run.evaluate("test"), ("has no test images", "test=0.2"), run=run)
    check(lambda run: run.evaluate("val"), ("is created and has no scores on 'val'", "wait until it ends"), run=run)
    check(lambda run: run.receipt(), "wait until it ends", run=run)
    check(lambda run: run.delete(), ("is created", "stop it first"), run=run)


WITHOUT_MODEL = [
    lambda run: run.predict("x.png"),
    lambda run: run.export("new"),
    lambda run: run.continue_(),
    lambda run: run.model(),
    lambda run: nt.explain(run, "x.png"),
    lambda run: nt.explain(run, "x.png", before=run),
]


@pytest.mark.parametrize("call", WITHOUT_MODEL)
def test_nobody_waits_for_the_model_of_a_run_that_has_failed(call, task):
    run = runs_without_worker(task)
    journal = JournalWriter(run.paths.events, 1)
    journal.append(ev.Starting(1, "h", "3"))
    journal.append(ev.Failed(message("fail.disk")))
    journal.close()
    check(call, ("is failed and has no model yet (the disk is full;", "see its log, then resume it, or start another"), run=run)


def runs_without_worker(task):
    return nt.Run(runs.create(nt.Recipe(task=task, **SMALL)))


def test_every_public_name_and_every_method_of_a_run_is_in_the_table():
    """A new one comes with its wrong calls."""
    written = inspect.getsource(inspect.getmodule(sentence))
    covered = {name for name in nt.__all__ if f"nt.{name}(" in written or f"nt.{name}." in written}
    assert set(nt.__all__) - covered == {"BackboneCard", "NbTransferError", "__version__"}
    takes_nothing = {"kill", "checkpoint", "history", "trust_code"}
    methods = {name for name, value in vars(nt.Run).items() if inspect.isfunction(value) and not name.startswith("_")}
    assert {name for name in methods if f"run.{name}(" not in written} == takes_nothing


def test_names_of_the_package_are_suggested():
    for typo, meant in (("atach", "attach"), ("train", "start"), ("task", "Task"), ("load", "load_model")):
        with pytest.raises(AttributeError, match=meant):
            getattr(nt, typo)


def test_numbers_of_numpy_are_numbers(task):
    made = nt.Recipe(task=task, **SMALL, epochs=np.int64(3), lr=np.float32(0.5), fold=np.bool_(False), crop=np.array(0.5))
    assert [type(value) for value in (made.epochs, made.lr, made.fold, made.crop)] == [int, float, bool, float]
    assert nt.Phase("a", nt.FreezePlan.all().thaw("x", lr=np.float64(0.1)), np.int32(2)).epochs == 2
    assert nt.Task.from_folder(task.root, holdout=np.float32(0.25), seed=np.int64(0)).sizes == task.sizes


def test_an_empty_table_says_so():
    assert repr(nt.backbones("zzz")) == "no backbone matches; write less of the name, or set other limits"


def test_one_epoch_is_no_plural(task):
    assert repr(nt.Recipe(task=task, **SMALL, strategy="ft", epochs=1)).endswith("'ft', 1 epoch)")


def test_help_shows_the_signature_as_before():
    assert list(inspect.signature(nt.Recipe).parameters)[:3] == ["task", "backbone", "weights"]
    assert "timeout" in inspect.signature(nt.Run.wait).parameters
    assert nt.Run.wait.__doc__.startswith("Wait until")


def test_a_copy_of_a_run_is_a_handle_on_the_same_run(lp_ft):
    for other in (copy.deepcopy(lp_ft), copy.copy(lp_ft), pickle.loads(pickle.dumps(lp_ft)), nt.attach(lp_ft)):
        assert (other.id, other.state.status) == (lp_ft.id, "finished")
    assert nt.dashboard(lp_ft).current.id == lp_ft.id


@pytest.fixture
def execute(monkeypatch):
    monkeypatch.setattr(own_runs, "_own", [])
    context = commands.CommandContext("%transfer", "notebook", Draft(), watch, print)
    return lambda words: commands.execute(words.split(), context)[1]


TYPED = [
    ("list", "did you mean 'runs'?"),
    ("ls", "did you mean 'runs'?"),
    ("rm", "did you mean 'delete'?"),
    ("train", "did you mean 'start'"),
    ("fit", "did you mean 'start'"),
    ("cancel", "did you mean 'stop'?"),
    ("unfreeze", "did you mean 'thaw'?"),
    ("plot", "choose one of"),
    ("-5", "'-5' is no command; begin with one, such as %transfer runs"),
    ("--epochs 3", "'--epochs' is no command; begin with one"),
    ("lr 0.1", "it is an option: `change --lr LR` for a run in progress, or `start --lr LR` for the next run"),
    ("set-lr 0.1", "`change --lr LR` for a run in progress"),
    ("set_epochs 3", "`change --epochs EPOCHS` for a run in progress"),
    ("clip_grad 1", "there is no command 'clip_grad'; choose one of"),
    ("strategy ft", "it is an option: `start --strategy STRATEGY` for the next run"),
    ("cache", "did you mean 'caches'?"),
    ("start --learning-rate 3", "did you mean 'lr'?"),
    ("start --bs 3", "did you mean 'batch-size'?"),
    ("start --optimizer adam", "did you mean 'optimiser'?"),
    ("start --epochs ten", "--epochs should be a whole number, not 'ten'"),
    ("start --epochs", "--epochs needs a value"),
    ("start --lr 1,000", "--lr is '1,000', which can mean 1000 or 1.000; write it without a comma"),
    ("start --wait=yes", "--wait takes no value; leave out 'yes'"),
    ("start", "there is no target task yet"),
    ("data", "give task"),
    ("data nowhere", "nowhere is missing"),
    ("data https://example.org/a.zip", "is a URL"),
    ("data images --val-split 0.2", "did you mean 'holdout'?"),
    ("backbone", "give NAME"),
    ("backbone timm/resnet5", "did you mean 'timm/resnet"),
    ("freeze", "give LAYER"),
    ("thaw layer9", "no layer of resnet18 is called 'layer9'"),
    ("undo", "there is nothing to undo"),
    ("delete", "give RUN"),
    ("delete abc", "there is no run 'abc'"),
    ("rename", "give name"),
    ("save-backbone", "give name"),
    ("add-backbone", "give folder"),
    ("add-backbone /nope", "/nope holds no saved shared layers"),
    ("delete-backbone zzz", "there are no saved shared layers 'zzz'"),
    ("pretrain --strategy ft", "leave --strategy out, or use `start`"),
    ("wait --timeout soon", "--timeout should be a number, not 'soon'"),
    ("export", "give folder"),
    ("predict", "give FILE"),
    ("caches --clear zz", "there are no caches"),
    ("help strat", "did you mean 'start'"),
    *((name, "there are no runs in /") for name in (
        "status", "attach", "wait", "pause", "resume", "continue", "stop", "kill", "checkpoint", "change --lr 1", "repeat",
        "trust", "log", "explain", "export folder", "rename mine", "save-backbone cloth",
    )),
]  # fmt: skip


@pytest.mark.parametrize(("words", "part"), TYPED)
def test_a_wrong_command_is_answered_with_one_sentence(words, part, execute):
    with pytest.raises(nt.NbTransferError) as error:
        execute(words)
    assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_every_command_is_in_the_table():
    harmless = {"dashboard", "backbones", "runs", "demo", "doctor"}
    assert set(commands.tree("notebook")) - {words.split()[0] for words, _ in TYPED} == harmless
