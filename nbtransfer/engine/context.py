"""What the parts of one attempt share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.freeze import LayerPlan
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.strategy import Phase
from nbtransfer.core.training_plan import TrainingPlan
from nbtransfer.engine.checkpoints.receipt import Receipt
from nbtransfer.engine.control import Control
from nbtransfer.engine.data.batches import TaskData
from nbtransfer.engine.device import Device
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.engine.progress import Progress
from nbtransfer.store.paths import RunPaths


@dataclass
class RunContext:
    """Everything that lives from the first phase of an attempt to its last.

    control     where commands come from
    weights     sha256 of the pretrained weights, None when they are random
    data        the splits as batches of pixels
    """

    recipe: Recipe
    card: BackboneCard
    paths: RunPaths
    control: Control
    model: TransferModel
    weights: str | None
    device: Device
    threads: int
    training_plan: TrainingPlan
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    data: TaskData
    progress: Progress = field(default_factory=Progress)
    receipt: Receipt = field(default_factory=Receipt)

    @property
    def position(self) -> tuple[int, int]:
        """Number of the present phase, and steps done."""
        return max(self.progress.phase, 0), self.progress.step

    @property
    def phase(self) -> Phase:
        """The present phase; the first one before it has begun."""
        return self.training_plan.phases[max(self.progress.phase, 0)]

    @property
    def plan(self) -> Mapping[str, LayerPlan]:
        """What the freeze plan of the present phase means for each layer."""
        return self.phase.plan.resolve(self.card)

    @property
    def frozen(self) -> list[str]:
        """Layers that must not change in the present phase."""
        return [name for name, entry in self.plan.items() if not entry.learns]

    @property
    def learned(self) -> list[str]:
        """Layers whose weights may differ from those the run started from."""
        return self.training_plan.learning()

    @property
    def stored(self) -> list[str]:
        """Layers that are written to the disk. Random weights are in no file, so all of them are."""
        return [layer.name for layer in self.card.layers] if self.weights is None else self.learned

    def is_interrupted(self) -> bool:
        """Whether something should happen before the next step."""
        return self.control.waiting() or self.control.ended_by is not None or self.training_plan.due(*self.position)
