"""What holds for the whole package and no single file can show."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]


def modules(folder):
    """Every module with its syntax tree."""
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in sorted((ROOT / folder).rglob("*.py"))]


def test_no_two_classes_share_a_name():
    places = defaultdict(list)
    for path, tree in modules("nbtransfer"):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_test_imports_from_another():
    """What tests share lies in tests/support: a helper in a test module would hide there, and run its tests again."""
    imported = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.module}"
        for folder in ("tests", "benchmarks")
        for path, tree in modules(folder)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests.")
        if node.module.rpartition(".")[2].startswith(("test_", "conftest"))
    ]
    assert imported == []
