"""The command that predicts, from a notebook and from a shell."""

from __future__ import annotations

import csv
import json

import pytest

from nbtransfer.cli import main
from nbtransfer.commands import tree as commands
from nbtransfer.commands.parsing import UsageError
from nbtransfer.errors import InputError
from nbtransfer.jobs.draft import Draft
from nbtransfer.ui.progress import watch
from tests.support.pictures import folder_of_pictures


@pytest.fixture
def new(tmp_path, monkeypatch):
    """A working folder with new pictures."""
    monkeypatch.chdir(tmp_path)
    return folder_of_pictures(tmp_path / "new")


@pytest.fixture
def said():
    return []


@pytest.fixture
def execute(said):
    context = commands.CommandContext("%transfer", "notebook", Draft(), watch, said.append)
    return lambda *words: commands.execute(list(words), context)[1]


def test_folders_files_and_patterns(lp_ft, new, execute, said):
    found = execute("predict", "new/red/", "new/blue/0[01].png", "new/green/00.png", "--run", lp_ft.id, "--csv", "out.csv")
    assert [answer.file for answer in found.value[-3:]] == ["new/blue/00.png", "new/blue/01.png", "new/green/00.png"]
    assert len(found.value) == 15
    assert found.ok
    assert said == ["written to out.csv"]
    with (new.parent / "out.csv").open(encoding="utf-8", newline="") as stream:
        assert [row["answer"] for row in csv.DictReader(stream)] == [answer.label for answer in found.value]


def test_a_bad_file_is_a_row_of_its_own(lp_ft, new, capsys):
    (new / "red" / "bad.png").write_bytes(b"")
    assert main(["predict", "new/red/bad.png", "new/red/00.png", "--json"]) == 1
    bad, good = json.loads(capsys.readouterr().out)
    assert (bad["file"], bad["answer"], bad["problem"]) == ("new/red/bad.png", None, "it is empty")
    assert good["answer"] in lp_ft.task.classes
    assert main(["predict", "new/red/00.png", "--csv", "out.csv"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "written to out.csv"


def test_mistakes_are_one_sentence(lp_ft, new, execute):
    with pytest.raises(UsageError, match=r"no file matches 'new/\*.jpg'; check the pattern"):
        execute("predict", "new/*.jpg")
    with pytest.raises(UsageError, match="give FILE; see"):
        execute("predict")
    with pytest.raises(InputError, match=r"nowhere\.png cannot be used: there is no such file or folder"):
        execute("predict", "nowhere.png")
