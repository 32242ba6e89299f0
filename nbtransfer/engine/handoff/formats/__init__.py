"""The formats of an export, one module each: a new module is a new format. Their names are known without torch."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from nbtransfer.core.text.names import suggest
from nbtransfer.errors import InputError

if TYPE_CHECKING:
    from nbtransfer.core.recipe import Recipe
    from nbtransfer.engine.handoff.example import StoredExample
    from nbtransfer.engine.model.transfer_model import TransferModel

DEFAULT = "nbtransfer"
NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


@dataclass(frozen=True)
class WrittenModel:
    """What a format has written: what model.json says about it, the packages that its code needs, and the code."""

    facts: Mapping[str, Any]
    packages: tuple[str, ...]
    code: str


class ExportFormat(Protocol):
    """What the module of a format offers."""

    def check(self, model: TransferModel, recipe: Recipe) -> None:
        """Raise InputError if this model cannot have the format, MissingExtraError if a package is missing."""

    def write(self, folder: Path, model: TransferModel, recipe: Recipe, example: StoredExample) -> WrittenModel:
        """Write the model; raises InputError if what was written does not answer the example as the model does."""


def check_name(name: object) -> None:
    """Raise InputError if there is no such format."""
    if not isinstance(name, str) or name not in NAMES:
        raise InputError(f"there is no export format {name!r}; {suggest(str(name), NAMES)}")


def find_format(name: str) -> ExportFormat:
    """The module of a format."""
    check_name(name)
    return cast("ExportFormat", importlib.import_module(f"{__name__}.{name}"))
