"""Code of one's own: written once, carried along, run only where it is trusted."""

from __future__ import annotations

import inspect
import json
import os
import random
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import nbtransfer as nt
from nbtransfer.cli import main
from nbtransfer.core.code import Code
from nbtransfer.engine.data.batches import augmentation
from nbtransfer.engine.data.preprocess import Augment
from nbtransfer.engine.seeding import fixed_seed
from nbtransfer.errors import CodeError, InputError, RunError, TaskError
from nbtransfer.jobs.checks import preflight
from nbtransfer.jobs.draft import Draft
from nbtransfer.pretrained import cards
from nbtransfer.tasks.decode import UndecodableError
from nbtransfer.tasks.source import ImageSource
from nbtransfer.ui.kept_report import kept_html
from nbtransfer.ui.run_monitor import RunMonitor
from nbtransfer.usercode import trusted
from tests.support.runs import PATIENCE, bits, recipe, until
from tests.support.stories import killed_again_and_again, uninterrupted

MINE = '''
import random

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn

CALLS = []


def noisy(image):
    """Noise from three generators, so that each of them must be seeded."""
    pixels = np.asarray(image).astype(int) + np.random.randint(-9, 9) + random.randint(-9, 9)
    pixels += torch.randint(-9, 9, pixels.shape).numpy()
    CALLS.append(image.size)
    return Image.fromarray(pixels.clip(0, 255).astype("uint8"))


def broken(image):
    return image.no_such_thing()


def wordy(image):
    return "an image"


class Counting(nn.Module):
    """Divides by what it has seen in training, which it does not store."""

    def __init__(self, features, classes):
        super().__init__()
        self.layer = nn.Linear(features, classes)
        self.register_buffer("spread", torch.ones(features), persistent=False)

    def forward(self, x):
        if self.training:
            self.spread = 0.5 * self.spread + x.std(0)
        return self.layer(x / self.spread)


class Hidden(nn.Module):
    """Projects at random, differently each time it is made."""

    def __init__(self, features, classes):
        super().__init__()
        self.projection = torch.randn(features, 4)
        self.layer = nn.Linear(4, classes)

    def forward(self, x):
        return self.layer(x @ self.projection)


class Restless(nn.Linear):
    """Draws in evaluation mode, too."""

    def forward(self, x):
        return super().forward(x + torch.randn_like(x))


class MLP(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, classes))

    def forward(self, x):
        return self.layers(x)


class Narrow(MLP):
    def __init__(self, features, classes):
        super().__init__(features, classes + 1)


class Blocks:
    """Patches of a colour, with their names."""

    classes = ("dark", "light")

    def __init__(self, count, shift=0):
        self.count, self.shift = count, shift

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        label = number % 2
        noise = np.random.default_rng(number).integers(0, 40, (32, 32, 3))
        return (noise + 180 * label + self.shift).astype("uint8"), label
'''


@pytest.fixture
def mine():
    return nt.code("mine", MINE)


@pytest.fixture
def small(images, mine):
    """Trained step by step, with both a change of images and a head of one's own."""
    return preflight(recipe(images, transform="mine.noisy", head="mine.MLP", epochs=2, checkpoint_every=3))


class TestWriting:
    def test_it_can_be_tried_out_at_once_and_shows_its_source(self, mine):
        assert inspect.getsource(mine.noisy).startswith("def noisy(image):")
        assert mine.MLP(4, 2)(torch.zeros(3, 4)).shape == (3, 2)

    @pytest.mark.parametrize(
        ("name", "source", "why"),
        [
            ("mine", "def (", "is not valid Python"),
            ("mine", "1 / 0", r"ZeroDivisionError: division by zero \(line 1\)"),
            ("mine", "x = nowhere", "custom code has no access to the notebook, so import what it needs"),
            ("mine", "\0", "is not valid Python"),
            ("mine", "#" * 2**21, "larger than 1 MiB"),
            ("../mine", "", "is not a valid module name"),
            ("class", "", "is not a valid module name"),
            ("", "", "is not a valid module name"),
        ],
    )
    def test_what_cannot_be(self, name, source, why):
        with pytest.raises(CodeError, match=why):
            nt.code(name, source)

    def test_a_function_of_the_module_names_itself(self, images, mine):
        made = recipe(images, transform=mine.noisy, head=mine.MLP)
        assert made.references == ("mine.noisy", "mine.MLP")

    def test_what_only_the_notebook_knows_is_told_how(self, images):
        class Local(nn.Module):
            pass

        with pytest.raises(
            CodeError, match=r"begins with `%%transfer_code mine`, including its imports, then use head='mine.Local'"
        ):
            recipe(images, head=Local)
        with pytest.raises(CodeError, match="which a background run cannot see"):
            recipe(images, transform=lambda image: image)
        with pytest.raises(CodeError, match="transform is 3; use the name"):
            recipe(images, transform=3)
        with pytest.raises(InputError, match="code is 'x = 1'; leave it out"):
            recipe(images, code="x = 1")

    @pytest.mark.parametrize(
        ("settings", "why"),
        [
            ({"transform": "noisy"}, "is not a reference to custom code"),
            ({"transform": "mine.nosy"}, "did you mean 'noisy'"),
            ({"transform": "yours.noisy"}, "there is no code 'yours' here"),
            ({"transform": "mine.broken"}, r"mine.broken failed: AttributeError: .*no_such_thing.*\(line 21\)"),
            ({"transform": "mine.wordy"}, "return a PIL image"),
            ({"head": "mine.Narrow"}, r"makes \(2, 4\) of features \(2, 1024\); let it make logits \(2, 3\)"),
            ({"head": "mine.noisy"}, "mine.noisy failed"),
            ({"head": "mine.Counting"}, "depends on values that are not stored with it; make them parameters, or buffers"),
            ({"head": "mine.Hidden"}, "depends on values that are not stored with it"),
            ({"head": "mine.Restless"}, "let it draw nothing in evaluation mode"),
            ({"head": "mine.Blocks"}, "let it make a torch.nn.Module"),
        ],
    )
    def test_mistakes_are_found_before_a_worker_starts(self, images, mine, settings, why):
        with pytest.raises(CodeError, match=why):
            nt.start(recipe(images, **settings))
        assert not nt.runs()

    def test_random_states_are_left_alone(self, images, mine):
        def next_numbers():
            return torch.rand(1).item(), np.random.random(), random.random()  # noqa: NPY002

        with fixed_seed(3):
            expected = next_numbers()
        with fixed_seed(3):
            preflight(recipe(images, transform="mine.noisy", head="mine.MLP"))
            assert next_numbers() == expected

    def test_a_new_text_counts_for_what_is_started_next(self, images, mine):
        draft = Draft(recipe(images).task)
        draft.choose(transform="mine.noisy")
        first = preflight(draft.recipe())
        nt.code("mine", MINE.replace("-9, 9", "-1, 1"))
        second = preflight(draft.recipe())
        assert first.code != second.code
        assert preflight(first).code == first.code  # as a repeat needs it


class TestDrawing:
    def test_what_an_image_looks_like_depends_on_seed_view_and_image_alone(self, small, images):
        spec = small.input_for(cards.card(small.backbone))
        source, samples = ImageSource(small.task), list(small.task.split("train"))

        def drawn(view, number):
            augment = augmentation(small, spec)
            assert isinstance(augment, Augment)
            return augment.view_from_image(source.image(samples[number]), view, number)

        first = drawn(1, 2)
        drawn(5, 6)
        assert torch.equal(drawn(1, 2), first)
        assert not torch.equal(drawn(2, 2), first)

    def test_its_views_are_counted_and_no_head_of_ones_own_is_solved_for(self, small):
        card = cards.card(small.backbone)
        assert small.all_views is None
        probe = replace(small, strategy="lp", views=3)
        assert probe.all_views == 3
        assert probe.solver(probe.resolved(card).phases[0], card) is None
        linear = replace(probe, head=None)
        assert linear.solver(linear.resolved(card).phases[0], card) == "logistic"

    @pytest.mark.parametrize(
        "settings", [pytest.param({}, marks=pytest.mark.slow), {"strategy": "lp_ft", "views": 2, "cache": "on"}]
    )
    def test_killed_and_resumed_it_ends_with_the_same_bits(self, small, settings):
        wanted = replace(small, **settings)
        assert killed_again_and_again(wanted, 2).outcome() == uninterrupted(wanted)


class TestARun:
    def test_in_a_worker_with_helpers(self, images, mine, tmp_path):
        run = nt.start(recipe(images, transform="mine.noisy", head="mine.MLP", loader_workers=1))
        state = run.wait(PATIENCE)
        assert state.status == "finished", state.message
        assert (run.paths.code / "mine.py").read_text() == MINE
        assert run.recipe.code == (Code("mine", MINE),)
        assert type(run.model().head).__name__ == "MLP"
        assert len(run.predict(next(images.glob("red/*")))) == 1
        with pytest.raises(InputError, match="explain a run without head="):
            nt.explain(run, next(images.glob("red/*")), before=run)
        again = nt.repeat(run)
        assert again.wait(PATIENCE).status == "finished"
        assert [r.val_loss for r in again.history()] == [r.val_loss for r in run.history()]
        folder = run.export(tmp_path / "model")
        assert type(nt.load_model(folder).head).__name__ == "MLP"
        trusted.file().unlink()
        nt.usercode.module.load.cache_clear()
        with pytest.raises(CodeError, match=r"load_model\(folder, trust=True\)"):
            nt.load_model(folder)
        assert type(nt.load_model(folder, trust=True).head).__name__ == "MLP"

    def test_killed_with_helpers_and_resumed_it_ends_with_the_same_bits(self, images, mine):
        settings = {"transform": "mine.noisy", "head": "mine.MLP", "loader_workers": 2, "checkpoint_every": 5}
        run = nt.start(recipe(images, epochs=6, **settings))
        os.kill(until(run, lambda s: len(s.history) >= 2).pid, signal.SIGKILL)
        assert run.wait(PATIENCE).status == "lost"
        run.resume()
        assert run.wait(PATIENCE).status == "finished", run.log()
        whole = nt.start(run.recipe)
        assert whole.wait(PATIENCE).status == "finished", whole.log()
        assert bits(run) == bits(whole)

    def test_a_failure_in_a_helper_is_one_sentence(self, images):
        nt.code(
            "late", MINE + "\n\ndef late(image):\n    CALLS.append(1)\n    assert len(CALLS) < 4, 'enough'\n    return image\n"
        )
        run = nt.start(recipe(images, transform="late.late", loader_workers=1))
        state = run.wait(PATIENCE)
        assert state.status == "failed"
        assert state.message.startswith("late.late failed: AssertionError: enough (line ")
        assert "\n" not in state.message


class TestTrust:
    """A run folder from somebody else may hold any code."""

    @pytest.fixture
    def foreign(self, images, mine, tmp_path):
        """A finished run whose code would leave a mark, copied here by somebody who does not trust it."""
        mark = tmp_path / "mark"
        nt.code("mine", MINE + f"\n\nopen({str(mark)!r}, 'w').close()\n")
        run = nt.start(recipe(images, transform="mine.noisy", head="mine.MLP"))
        assert run.wait(PATIENCE).status == "finished"
        mark.unlink()
        trusted.file().unlink()
        nt.usercode.module.load.cache_clear()
        copy = run.paths.root.with_name("20200101-000000-abcdef")
        shutil.move(run.paths.root, copy)
        return nt.attach("abcdef"), mark

    def test_it_can_be_looked_at(self, foreign):
        run, mark = foreign
        assert run.state.status == "finished"
        assert "finished" in repr(nt.runs())
        assert run.evaluate().examples == 9
        assert run.history()
        assert "mine" in run.recipe.code[0].name
        assert not mark.exists()

    @pytest.mark.parametrize(
        "use",
        [nt.Run.model, nt.repeat, lambda run: nt.start(run.recipe), lambda run: run.export("there")],
        ids=["model", "repeat", "start", "export"],
    )
    def test_its_code_does_not_run(self, foreign, use):
        run, mark = foreign
        with pytest.raises(CodeError, match=r"was not written here, so it does not run; read it, and if you trust it"):
            use(run)
        assert not mark.exists()
        assert len(nt.runs()) == 1

    def test_nor_does_it_when_a_lost_run_is_resumed(self, foreign):
        run, mark = foreign
        lines = run.paths.events.read_bytes().splitlines(keepends=True)
        run.paths.events.write_bytes(b"".join(line for line in lines if b'"Finished"' not in line))
        lost = nt.attach(run.id)
        with pytest.raises(CodeError, match="was not written here"):
            lost.resume()
        assert not mark.exists()

    def test_a_dashboard_on_a_dataset_of_theirs_shows_no_pictures(self, mine):
        run = nt.start(replace(recipe_for(nt.Task.from_code("mine.Blocks", {"count": 20})), epochs=1))
        assert run.wait(PATIENCE).status == "finished"
        trusted.file().unlink()
        nt.usercode.module.load.cache_clear()
        monitor = RunMonitor(nt.attach(run.id))
        assert monitor.result["scores"]
        assert [mistake["picture"] for mistake in monitor.result["mistakes"]] == [None] * len(monitor.result["mistakes"])
        monitor.close()
        assert "accuracy" in kept_html([run])

    def test_after_explicit_trust_it_does(self, foreign):
        run, mark = foreign
        run.trust_code()
        assert run.model().classes == ("blue", "green", "red")
        assert mark.exists()

    def test_trust_is_in_the_text_not_in_the_place(self, foreign):
        run, mark = foreign
        run.trust_code()
        file = run.paths.code / "mine.py"
        file.write_text(file.read_text() + "\n# a small change\n")
        edited = nt.attach(run.id)
        with pytest.raises(CodeError, match="was edited or removed after the run was made"):
            edited.model()
        with pytest.raises(CodeError, match="was edited or removed"):
            edited.trust_code()
        spec = json.loads(run.paths.spec.read_text())
        spec["recipe"]["code"] = [["mine", Code("mine", file.read_text()).sha256]]
        run.paths.spec.write_text(json.dumps(spec))
        with pytest.raises(CodeError, match="was not written here"):
            nt.attach(run.id).model()
        assert not mark.exists()

    def test_a_name_that_leads_elsewhere(self, foreign):
        run, _ = foreign
        spec = json.loads(run.paths.spec.read_text())
        spec["recipe"]["code"] = [["../../../etc/passwd", "0"]]
        run.paths.spec.write_text(json.dumps(spec))
        with pytest.raises(RunError, match="is not a valid module name"):
            _ = nt.attach(run.id).recipe

    def test_the_list_is_private_and_lies_outside_every_run(self, mine, home):
        assert trusted.file().stat().st_mode & 0o077 == 0
        assert not trusted.file().is_relative_to(home)

    def test_where_it_cannot_be_kept(self, monkeypatch, tmp_path):
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
        with pytest.raises(CodeError, match="set XDG_STATE_HOME to your own folder"):
            nt.code("mine", MINE)


class TestDatasets:
    def test_a_run_on_a_dataset(self, mine):
        task = nt.Task.from_code("mine.Blocks", {"count": 40}, holdout=0.25)
        assert task.classes == ("dark", "light")
        assert task.sizes == {"train": 30, "val": 10, "test": 0}
        run = nt.start(replace(recipe_for(task), transform="mine.noisy"))
        assert run.wait(PATIENCE).status == "finished"
        assert run.task == task
        assert run.evaluate().examples == 10
        assert run.task.image(run.task.samples[0]).size == (32, 32)

    def test_each_run_asks_it_anew(self, mine):
        """Nobody can see whether it still gives the same images: what leaves the frozen layers is not kept for other runs."""
        task = nt.Task.from_code("mine.Blocks", {"count": 20})
        for _ in range(2):
            run = nt.start(replace(recipe_for(task), strategy="lp", epochs=1))
            assert run.wait(PATIENCE).status == "finished"
            assert any("computed once" in decided.reason for decided in run.state.decisions)
        assert nt.caches() == ()

    def test_of_a_library(self, tmp_path):
        source = "from torchvision.datasets import FakeData\n\ndef fake(size):\n    return FakeData(size, (3, 24, 24), 3)\n"
        nt.code("data", source)
        task = nt.Task.from_code("data.fake", {"size": 30}, classes=("a", "b", "c"))
        assert task.image(task.samples[3]).size == (24, 24)
        assert set(task.class_counts) == {"a", "b", "c"}

    def test_its_digest_knows_text_and_arguments(self, mine):
        def made(**arguments):
            return nt.Task.from_code("mine.Blocks", {"count": 12, **arguments}).digest

        assert made() == made()
        assert made() != made(shift=3)
        first = made()
        nt.code("mine", MINE + "\n# another\n")
        assert made() != first

    def test_an_older_text_is_not_mixed_with_a_newer_one(self, mine):
        task = nt.Task.from_code("mine.Blocks", {"count": 12})
        nt.code("mine", MINE + "\n# another\n")
        with pytest.raises(CodeError, match="the task was made with another version of the code 'mine'; make the task again"):
            nt.start(replace(recipe_for(task), transform="mine.noisy"))

    def test_labels_that_change_are_noticed(self, mine):
        task = nt.Task.from_code("mine.Blocks", {"count": 12})
        sample = replace(task.samples[0], label=1)
        with pytest.raises(UndecodableError, match="labels it 0, but its class was 'light'"):
            ImageSource(task).image(sample)

    @pytest.mark.parametrize(
        ("body", "arguments", "error", "why"),
        [
            ("def make():\n    return 3", {}, CodeError, "object of type 'int' has no len"),
            ("def make():\n    return [(1, 2, 3)]", {}, CodeError, r"return \(image, label\)"),
            ("def make(n):\n    return []", {}, CodeError, "missing 1 required positional argument"),
            ("def make():\n    return []", {}, TaskError, "there are no images"),
            ("def make():\n    return [(None, 0)] * 4", {}, TaskError, "at least two classes"),
            ("def make():\n    return [(None, 0.5)] * 4", {}, TaskError, "whole numbers or names"),
            ("def make(f):\n    return []", {"f": print}, TaskError, "must be plain data"),
        ],
    )
    def test_what_cannot_be(self, body, arguments, error, why):
        nt.code("own", body)
        with pytest.raises(error, match=why):
            nt.Task.from_code("own.make", arguments)


def recipe_for(task):
    return nt.Recipe(
        task=task, backbone="shufflenet_v2_x0_5", weights=None, strategy="ft", epochs=2, batch_size=8, image_size=32,
        device="cpu", precision="fp32", threads=1,
    )  # fmt: skip


def test_a_file_from_the_command_line(images, tmp_path, capsys):
    (tmp_path / "augment.py").write_text(MINE)
    words = [
        "start",
        str(images),
        "--backbone",
        "shufflenet_v2_x0_5",
        "--weights",
        "none",
        "--image-size",
        "40",
        "--strategy",
        "ft",
        "--precision",
        "fp32",
        "--threads",
        "1",
    ]
    assert (
        main([*words, "--code", str(tmp_path / "augment.py"), "--transform", "augment.noisy", "--epochs", "1", "--wait"]) == 0
    )
    run = nt.runs()[0]
    assert run.recipe.transform == "augment.noisy"
    assert main(["trust", run.id]) == 0
    assert "def noisy(image):" in capsys.readouterr().out
    assert main(["trust", run.id, "--yes"]) == 0
    assert main([*words, "--code", str(tmp_path / "nothing.py")]) == 2
    assert Path(run.paths.code / "augment.py").exists()
