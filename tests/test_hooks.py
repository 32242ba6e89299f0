"""The checks before a commit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def hook(check, *files):
    command = [sys.executable, ROOT / ".ci" / "hooks.py", check, *files]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(("length", "code"), [(72, 0), (73, 1)])
def test_a_subject_has_at_most_72_characters(tmp_path, length, code):
    message = tmp_path / "message"
    message.write_text("x" * length + "\n\n" + "y" * 200)
    assert hook("message", message).returncode == code


def test_large_files_are_named(tmp_path):
    (tmp_path / "small").write_bytes(bytes(1000))
    (tmp_path / "large").write_bytes(bytes(1_200_000))
    done = hook("size", tmp_path / "small", tmp_path / "large")
    assert done.returncode == 1
    assert done.stdout == f"{tmp_path / 'large'}: 1200 kB, at most 1000\n"


def test_widget_state_is_removed_and_nothing_else(tmp_path):
    stored = ROOT / "notebooks" / "01_first_transfer.ipynb"
    path = tmp_path / "notebook.ipynb"
    path.write_bytes(stored.read_bytes())
    assert hook("notebooks", path).returncode == 0
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["metadata"]["widgets"] = {"state": {}}
    view = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "a dashboard"}
    code = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    code["outputs"].append({"output_type": "display_data", "data": view, "metadata": {}})
    path.write_text(json.dumps(notebook))
    assert hook("notebooks", path).returncode == 1
    assert hook("notebooks", path).returncode == 0
    code["outputs"][-1]["data"].pop("application/vnd.jupyter.widget-view+json")
    del notebook["metadata"]["widgets"]
    assert json.loads(path.read_text(encoding="utf-8")) == notebook


def test_every_hook_is_local_and_calls_what_is_there():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    for entry in config["repos"][0]["hooks"]:
        assert entry["language"] == "system"
        assert entry["entry"].startswith(".venv/bin/")
        words = entry["entry"].split()
        if words[0].endswith("python"):
            assert hook(words[2]).returncode == 0
