"""Commands, carried out without a notebook."""

from __future__ import annotations

import pytest

from nbtransfer.commands import starting
from nbtransfer.commands import tree as commands
from nbtransfer.commands.parsing import UsageError
from nbtransfer.errors import InputError
from nbtransfer.jobs.draft import Draft
from nbtransfer.jobs.run import Run
from nbtransfer.store import inbox, runs
from nbtransfer.ui.progress import watch
from tests.support.folders import write_cache
from tests.support.runs import recipe


@pytest.fixture
def execute():
    context = commands.CommandContext("%transfer", "notebook", Draft(), watch, print)
    return lambda *words: commands.execute(list(words), context)[1]


class TestCaches:
    def test_listed_and_cleared_by_key(self, execute):
        write_cache("aa")
        write_cache("b")
        assert [cache.key for cache in execute("caches").value] == ["b", "aa"]
        assert execute("caches", "--clear", "a").text.endswith("freed")
        assert [cache.key for cache in execute("caches").value] == ["b"]
        execute("caches", "--clear")
        assert execute("caches").text == "there are no caches"

    def test_a_key_that_is_not_there(self, execute):
        with pytest.raises(InputError, match="no key begins with 'c'; there are no caches"):
            execute("caches", "--clear", "c")
        write_cache("aa")
        with pytest.raises(InputError, match="no key begins with 'ab'; choose one of aa"):
            execute("caches", "--clear", "aa", "ab")
        assert len(execute("caches").value) == 1


class Started(Exception):  # noqa: N818 - what a start would have done
    pass


class TestWhatIsHardlyMeant:
    """It is asked about once, whether a form or a command says it."""

    @pytest.fixture
    def start(self, execute, images, monkeypatch):
        def refuse(recipe, **_):
            raise Started(recipe)

        monkeypatch.setattr(starting, "start_run", refuse)
        execute("data", str(images), "--holdout", "0,25")
        return lambda *words: execute("start", "--weights", "none", *words)

    @pytest.mark.parametrize(
        ("option", "value", "said"),
        [
            ("lr", "1e6", "the learning rate is 1,000,000.0, and more than 1 is usually a typing error"),
            ("image-size", "20000", "the image size in pixels is 20,000, and more than 2,048"),
            ("batch-size", "5000", "the batch size is 5,000, and more than 1,024"),
            ("epochs", "100000", "the number of epochs is 100,000, and more than 10,000"),
            ("threads", "1024", "the number of threads is 1,024, and more than"),
        ],
    )
    def test_a_setting(self, start, option, value, said):
        with pytest.raises(UsageError, match=f"{said}.*; change it, or add --unusual if you mean it"):
            start(f"--{option}", value)
        with pytest.raises(Started):
            start(f"--{option}", value, "--unusual")

    def test_how_fast_layers_learn(self, start, execute, capsys):
        execute("thaw", "layer3", "--lr", "1e6")
        said = "the learning-rate multiplier of 'layer3' is 1,000,000.0, and more than 100 is usually a typing error"
        assert f"{said}; `%transfer undo` takes it back" in capsys.readouterr().out
        with pytest.raises(UsageError, match=f"{said}; change it"):
            start()
        execute("undo")
        with pytest.raises(Started):
            start()

    def test_a_change(self, execute, images):
        run = Run(runs.create(recipe(images)))
        with pytest.raises(
            UsageError, match=r"the learning rate is 10\.0, and more than 1 is usually a typing error.*--unusual"
        ):
            execute("change", run.id, "--lr", "10", "--epochs", "3")
        assert not inbox.has_any(run.paths.control)


def test_a_finished_run_goes_on_as_another(execute, lp_ft):
    with pytest.raises(UsageError, match="more than 10,000 is usually a typing error"):
        execute("continue", lp_ft.id, "--epochs", "20000")
    run = execute("continue", lp_ft.id, "--epochs", "3", "--lr", "0,01", "--name", "longer").value
    run.kill()
    assert (run.name, run.phases[-1].epochs, run.recipe.lr) == ("longer", 3, 0.01)


def test_a_new_name_comes_first(execute, images):
    run = Run(runs.create(recipe(images)))
    with pytest.raises(UsageError, match=f"the new name comes first: %transfer rename mine {run.id}"):
        execute("rename", run.id, "mine")
    assert execute("rename", "mine", run.id).value.name == "mine"


def test_numbers_are_read_as_in_the_form(execute):
    assert execute("thaw", "layer3", "--lr", "0,1").value.plan.rules[-1].lr == 0.1
    with pytest.raises(UsageError, match=r"--lr is '1,000', which can mean 1000 or 1\.000; write it without a comma"):
        execute("thaw", "layer3", "--lr", "1,000")


def test_whole_numbers_stay_exact_however_long():
    parsed = commands.parser().parse_args(["start", "x", "--seed", "12345678901234567"])
    assert parsed.seed == 12_345_678_901_234_567
