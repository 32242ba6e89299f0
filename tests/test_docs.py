"""What the documents say is there: names, commands, links. Code blocks are Python."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import nbtransfer as nt
from nbtransfer.commands.tree import COMMANDS, tree
from tests.support.pictures import picture
from tests.support.shell import new_shell

ROOT = Path(__file__).parents[1]
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
DOCUMENTS = [*TOP, *sorted((ROOT / "docs").rglob("*.md"))]
GROUPS = {"tutorials", "how-to", "reference", "explanation"}


def name_of(path):
    return str(path.relative_to(ROOT))


def with_blocks(language):
    """Documents with blocks in a language. The one that a newcomer tries first stands for all others in `make test`."""
    return [
        pytest.param(path, id=name_of(path), marks=() if path.name == "README.md" else pytest.mark.slow)
        for path in DOCUMENTS
        if f"```{language}\n" in path.read_text(encoding="utf-8")
    ]


@pytest.fixture(params=DOCUMENTS, ids=name_of)
def document(request):
    return request.param, request.param.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", with_blocks("python"))
def test_python_blocks_run(path, images, tmp_path, monkeypatch):
    """In order, in one namespace, in a folder that holds `images/` and one image more; real runs with real weights."""
    blocks = re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    picture((200, 60, 50), 5).save(tmp_path / "a new image.jpg")
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in blocks:
        exec(compile(block, str(path), "exec"), namespace)
    for run in nt.runs():
        assert run.wait(120).status in ("finished", "stopped"), run.log()


@pytest.mark.parametrize("path", with_blocks("ipython"))
def test_notebook_blocks_run(path, images, tmp_path, monkeypatch):
    """Each is a cell; in order, in one shell, in the same folder."""
    blocks = re.findall(r"```ipython\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    picture((200, 60, 50), 5).save(tmp_path / "a new image.jpg")
    monkeypatch.chdir(tmp_path)
    shell = new_shell(tmp_path)
    for block in blocks:
        result = shell.run_cell(block, store_history=False)
        assert result.success, f"{block}: {result.error_in_exec or result.error_before_exec}"
    nt.unload_ipython_extension(shell)
    for run in nt.runs():
        assert run.wait(120).status == "finished", run.log()


def test_shell_blocks_run(document):
    """They call make, and what each target would do is worked out without doing it; or they install extras that exist."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for block in re.findall(r"```bash\n(.*?)```", document[1], re.DOTALL):
        for line in block.splitlines():
            words = line.split("#")[0].split()
            if words[:2] == ["pip", "install"]:
                extra = re.fullmatch(r"'?(?:nbtransfer|\.)(?:\[(\w+)\])?'?", words[2])
                assert extra, f"{document[0].name}: {line}"
                assert extra[1] is None or extra[1] in extras, f"{document[0].name}: {line}"
            else:
                assert words[0] == "make"
                subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, check=True, capture_output=True)


def test_public_names_exist(document):
    for name in re.findall(r"\bnt\.([A-Za-z]\w+)", document[1]):
        assert name in nt.__all__, f"{document[0].name}: nt.{name}"


def test_commands_exist(document):
    for name in re.findall(r"`nbtransfer (\w+)", document[1]):
        assert name in COMMANDS, f"{document[0].name}: nbtransfer {name}"


def test_magics_exist(document):
    """Also those after `or` or a comma, as in "`%transfer wait` `status`"."""
    for name in re.findall(r"%transfer (\w[\w-]*)", document[1]):
        assert name in tree("notebook"), f"{document[0].name}: %transfer {name}"


def test_every_magic_is_documented():
    text = (ROOT / "docs" / "how-to" / "magics.md").read_text(encoding="utf-8")
    for name in tree("notebook"):
        assert re.search(rf"[` ]{name}[` ]", text), f"docs/how-to/magics.md: %transfer {name}"


def test_targets_exist(document):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name in re.findall(r"\bmake ([\w-]+)(?=[`\s]*(?:#|`|$))", document[1], re.MULTILINE):
        assert name in targets, f"{document[0].name}: make {name}"


def anchors(text):
    """The anchors that a renderer gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def test_links_lead_somewhere(document):
    path, text = document
    for link in re.findall(r"\]\(([^):]+)\)", text):
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), f"{path.name}: {link}"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{path.name}: {link}"


def test_every_page_is_in_one_of_four_groups_and_in_the_navigation():
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert {page.partition("/")[0] for page in pages} == GROUPS | {"index.md", "architecture.md"}
    listed = re.findall(r"- ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(pages)
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(([\w/-]+\.md)\)", index)) == pages - {"index.md"}


def test_the_glossary_holds_at_most_twenty_terms():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    glossary = text.partition("## Glossary")[2].partition("\n## ")[0]
    rows = [line for line in glossary.splitlines() if line.startswith("| ")]
    assert 10 < len(rows) - 1 <= 20


def named_in(path):
    """What tests of a file are called: `test_it`, or `TestThem::test_it`."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield from (f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef))


def test_tests_named_in_the_documents_exist(document):
    for file, name in re.findall(r"(tests/[\w/]+\.py)::([\w:]+)", document[1]):
        assert name in named_in(ROOT / file), f"{document[0].name}: {file}::{name}"


def test_every_fault_has_a_test_or_a_reason():
    text = (ROOT / "docs" / "reference" / "reliability.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.partition("## Faults")[2].splitlines() if line.startswith("| ")]
    assert len(rows) > 40
    for fault, happens, tested in rows[1:]:
        assert "::test_" in tested or happens.startswith("No test: "), fault


def test_files_named_in_the_documents_exist(document):
    for name in re.findall(r"`((?:nbtransfer|tests|benchmarks|docs|notebooks)/[\w/-]+\.\w+)`", document[1]):
        assert (ROOT / name).exists(), f"{document[0].name}: {name}"


def texts_of_the_package():
    """What it may say: strings of its Python, with … for what is put in, and its scripts."""
    for path in (ROOT / "nbtransfer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    for path in (ROOT / "nbtransfer").rglob("static/*.js"):
        yield path.read_text(encoding="utf-8")


def test_messages_in_troubleshooting_are_those_of_the_package():
    text = (ROOT / "docs" / "how-to" / "troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.*?) \|", text, re.MULTILINE)[1:]
    quoted = [part.strip() for row in rows for message in re.findall(r"`(.*?)`", row) for part in message.split("…")]
    assert len(quoted) > 20
    known = "\n".join([*texts_of_the_package(), "model not found"])  # the last is JupyterLab's
    assert [part for part in quoted if part not in known] == []
