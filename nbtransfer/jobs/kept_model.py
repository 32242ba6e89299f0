"""The best model of a run, kept between predictions."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from nbtransfer.core.recipe import Recipe
from nbtransfer.store.paths import RunPaths

if TYPE_CHECKING:
    from nbtransfer.engine.model.transfer_model import TransferModel


class KeptModel:
    """Loads the best model once for each version of it on the disk. Nobody else may change what it returns."""

    def __init__(self) -> None:
        self._version: tuple[int, int] | None = None
        self._model: TransferModel | None = None
        self._loading = threading.Lock()  # a dashboard's thread and a cell may share one handle

    def get(self, paths: RunPaths, recipe: Recipe) -> TransferModel:
        """The model, in evaluation mode on the CPU. Raises RunError, CheckpointError or WeightsError."""
        from nbtransfer.engine.checkpoints import result  # loads torch

        with self._loading:
            version = _version(paths)
            if self._model is None or version is None or version != self._version:
                self._model = None  # two at a time would need twice the memory
                self._model, self._version = result.load(paths, recipe), version
            return self._model


def _version(paths: RunPaths) -> tuple[int, int] | None:
    """Identifies the best model: a run that goes on replaces its folder under the same name."""
    try:
        found = paths.best_model.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
