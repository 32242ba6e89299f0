"""What the documents say is there: names, commands, links. Code blocks are Python."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nbtransfer as nt
from nbtransfer.commands import COMMANDS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture(params=DOCUMENTS, ids=lambda path: path.name)
def document(request):
    return request.param, request.param.read_text(encoding="utf-8")


def test_code_blocks_are_python(document):
    for block in re.findall(r"```python\n(.*?)```", document[1], re.DOTALL):
        compile(block, str(document[0]), "exec")


def test_public_names_exist(document):
    for name in re.findall(r"\bnt\.(\w+)", document[1]):
        # nt.explain is announced as what the next room is for
        assert name in nt.__all__ or name == "explain", f"{document[0].name}: nt.{name}"


def test_commands_exist(document):
    for name in re.findall(r"`nbtransfer (\w+)", document[1]):
        assert name in COMMANDS, f"{document[0].name}: nbtransfer {name}"


def test_targets_exist(document):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name in re.findall(r"\bmake (\w+)(?=[`\s]*(?:#|`|$))", document[1], re.MULTILINE):
        assert name in targets, f"{document[0].name}: make {name}"


def test_links_lead_somewhere(document):
    path, text = document
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_files_named_in_the_documents_exist(document):
    for name in re.findall(r"`((?:nbtransfer|tests|benchmarks|docs)/[\w/]+\.\w+)`", document[1]):
        assert (ROOT / name).exists(), f"{document[0].name}: {name}"
