"""Transfer learning inside the notebook.

    import nbtransfer as nt

    task = nt.Task.from_folder("images/")
    run = nt.start(nt.Recipe(task=task, backbone="resnet18", strategy="lp_ft"))
    run.wait()

Importing this package loads neither torch nor IPython: each name below is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from nbtransfer import recipes as recipes
    from nbtransfer.comparison.compare_runs import explain as explain
    from nbtransfer.core.backbone import BackboneCard as BackboneCard
    from nbtransfer.core.freeze import FreezePlan as FreezePlan
    from nbtransfer.core.recipe import Recipe as Recipe
    from nbtransfer.core.strategy import Phase as Phase
    from nbtransfer.core.strategy import Strategy as Strategy
    from nbtransfer.engine.handoff.load import load_model as load_model
    from nbtransfer.engine.handoff.predict import predict as predict
    from nbtransfer.errors import NbTransferError as NbTransferError
    from nbtransfer.jobs.launcher import pretrain as pretrain
    from nbtransfer.jobs.launcher import repeat as repeat
    from nbtransfer.jobs.launcher import start as start
    from nbtransfer.jobs.listing import list_runs as runs  # noqa: F401
    from nbtransfer.jobs.run import Run as Run
    from nbtransfer.jobs.run import attach as attach
    from nbtransfer.pretrained.listing import backbone as backbone
    from nbtransfer.pretrained.listing import backbones as backbones
    from nbtransfer.pretrained.saved import add_backbone as add_backbone
    from nbtransfer.pretrained.saved import delete_backbone as delete_backbone
    from nbtransfer.store.caches import caches as caches
    from nbtransfer.store.caches import clear as clear_caches  # noqa: F401
    from nbtransfer.tasks.task import Task as Task
    from nbtransfer.ui.dashboard import dashboard as dashboard
    from nbtransfer.ui.layer_tree import LayerTree as LayerTree
    from nbtransfer.ui.run_monitor import RunMonitor as RunMonitor
    from nbtransfer.usercode.module import code as code

_HOMES = {
    "BackboneCard": "core.backbone:BackboneCard",
    "FreezePlan": "core.freeze:FreezePlan",
    "LayerTree": "ui.layer_tree:LayerTree",
    "NbTransferError": "errors:NbTransferError",
    "Phase": "core.strategy:Phase",
    "Recipe": "core.recipe:Recipe",
    "Run": "jobs.run:Run",
    "RunMonitor": "ui.run_monitor:RunMonitor",
    "Strategy": "core.strategy:Strategy",
    "Task": "tasks.task:Task",
    "add_backbone": "pretrained.saved:add_backbone",
    "attach": "jobs.run:attach",
    "backbone": "pretrained.listing:backbone",
    "backbones": "pretrained.listing:backbones",
    "caches": "store.caches:caches",
    "code": "usercode.module:code",
    "clear_caches": "store.caches:clear",
    "explain": "comparison.compare_runs:explain",
    "delete_backbone": "pretrained.saved:delete_backbone",
    "dashboard": "ui.dashboard:dashboard",
    "load_model": "engine.handoff.load:load_model",
    "predict": "engine.handoff.predict:predict",
    "pretrain": "jobs.launcher:pretrain",
    "recipes": "recipes:",
    "repeat": "jobs.launcher:repeat",
    "runs": "jobs.listing:list_runs",
    "start": "jobs.launcher:start",
}

__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604 - the keys are strings


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"nbtransfer has no {name!r}{_hint(name)}")
    module, attribute = _HOMES[name].split(":")
    home = importlib.import_module(f"nbtransfer.{module}")
    value = getattr(home, attribute) if attribute else home
    globals()[name] = value
    return value


def _hint(name: str) -> str:
    """What may have been meant; nothing for the names that Python and notebooks ask every module for."""
    if name.startswith("_"):
        return ""
    return f"; {importlib.import_module('nbtransfer.core.text.names').suggest(name, _HOMES)}"


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


def load_ipython_extension(ipython: Any) -> None:
    """Called by `%load_ext nbtransfer`: register `%transfer`. Silent; doing it again changes nothing."""
    importlib.import_module("nbtransfer.magics.extension").load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Called by `%unload_ext nbtransfer`: leave the shell as it was."""
    importlib.import_module("nbtransfer.magics.extension").unload(ipython)
