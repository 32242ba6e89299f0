"""The public surface, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

import nbtransfer as nt

ROOT = Path(__file__).parents[1]


def fresh(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.strip()


PUBLIC = {
    "BackboneCard",
    "FreezePlan",
    "LayerTree",
    "NbTransferError",
    "Phase",
    "Recipe",
    "Run",
    "RunMonitor",
    "Strategy",
    "Task",
    "__version__",
    "add_backbone",
    "attach",
    "backbone",
    "backbones",
    "caches",
    "clear_caches",
    "code",
    "dashboard",
    "delete_backbone",
    "explain",
    "load_model",
    "predict",
    "pretrain",
    "recipes",
    "repeat",
    "runs",
    "start",
}
"""What others may rely on. A name that is added here stays: see docs/reference/releases.md."""


def test_public_names_are_exactly_these():
    assert set(nt.__all__) == PUBLIC
    assert len(nt.__all__) == len(PUBLIC)


def test_public_names_are_there():
    assert {name for name in nt.__all__ if getattr(nt, name, None) is None} == set()
    assert set(nt.__all__) <= set(dir(nt))
    for name in ("Task", "Recipe", "FreezePlan", "backbone", "backbones", "start", "attach", "runs"):
        assert getattr(nt, name).__doc__


def test_unknown_names_raise():
    assert not hasattr(nt, "nonsense")


def test_importing_loads_no_framework():
    loaded = fresh(
        "import sys, nbtransfer; print(sorted({'torch', 'IPython', 'captum', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )
    assert loaded == "[]"


def test_a_notebook_can_do_its_part_without_torch():
    """Everything up to the model itself: tasks, cards, plans, recipes, starting and following runs."""
    code = (
        "import sys, nbtransfer as nt; nt.Task, nt.Recipe, nt.start, nt.attach, nt.runs();"
        "nt.FreezePlan.up_to('resnet18', 'layer3').summary(nt.backbone('resnet18')); nt.backbones('vgg');"
        "import nbtransfer.ui.report, nbtransfer.commands.tree; print('torch' in sys.modules)"
    )
    assert fresh(code) == "False"


def test_every_supported_python_is_tested_by_the_workflow():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    prefix = "Programming Language :: Python :: "
    named = [c.removeprefix(prefix) for c in project["classifiers"] if c.startswith(f"{prefix}3.")]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == named == ["3.11", "3.12", "3.13", "3.14"]
    assert project["requires-python"] == f">={named[0]}"
    assert [step["run"].split()[:2] for step in job["steps"] if "run" in step] == [["make", "test"]]


def test_words_for_errors_are_one_tree():
    from nbtransfer import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(issubclass(kind, errors.NbTransferError) for kind in kinds)
    assert all(kind.__name__ in errors.__doc__ for kind in kinds)
