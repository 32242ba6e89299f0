"""Every error nbtransfer raises, in one tree.

    NbTransferError
    ├── InputError            an invalid argument or input; the message says what to do
    │   ├── TaskError         examples: unreadable, missing, mislabelled, or in two splits
    │   ├── BackboneError     shared layers: unknown name, wrong input size, missing extra
    │   ├── CodeError         custom code: unknown, failing, edited or not trusted
    │   ├── PlanError         freeze plan or strategy: unknown layer, nothing left to learn
    │   └── RecipeError       settings of a run that contradict each other
    ├── WeightsError          pretrained weights: missing, altered, or of another architecture
    ├── CheckpointError       a stored model that cannot be trusted or does not fit
    │   └── FormatError       a checkpoint that another version of nbtransfer wrote
    ├── MissingExtraError     an optional package is needed; the message names the command
    └── RunError              a run: unknown, unfinished, lost or failed

Expected outcomes (a stopped run, a command that came too late) are values, not errors.
"""

from __future__ import annotations


class NbTransferError(Exception):
    """Base of everything nbtransfer raises on purpose."""


class InputError(NbTransferError):
    """An invalid argument or input. The message is one sentence that says what to do."""


class TaskError(InputError):
    """The examples cannot be used as they are."""


class BackboneError(InputError):
    """The shared layers do not exist or cannot take this input."""


class CodeError(InputError):
    """Custom code of a recipe is missing, fails, was edited, or is not trusted here."""


class PlanError(InputError):
    """A freeze plan or strategy names layers that do not exist, or leaves nothing to learn."""


class RecipeError(InputError):
    """Settings of a run are out of range or contradict each other."""


class WeightsError(NbTransferError):
    """Pretrained weights are missing, altered, or belong to another architecture."""


class CheckpointError(NbTransferError):
    """A stored model is damaged or does not fit the recipe it claims to come from."""


class FormatError(CheckpointError):
    """A checkpoint is whole, but another version of nbtransfer wrote it, in a format that this one does not go on from."""


class MissingExtraError(NbTransferError, ImportError):
    """This needs an optional package."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional package: pip install 'nbtransfer[{extra}]'")
        self.extra = extra


class RunError(NbTransferError):
    """A run does not exist, has not finished, or ended without the requested result."""
