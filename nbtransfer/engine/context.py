"""The state shared by the parts of one attempt."""

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

    control     the source of commands
    weights     sha256 of the pretrained weights, None if they are random
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
        """Number of the current phase, and steps done."""
        return max(self.progress.phase, 0), self.progress.step

    @property
    def phase(self) -> Phase:
        """The current phase; before the start, the first one."""
        return self.training_plan.phases[max(self.progress.phase, 0)]

    @property
    def plan(self) -> Mapping[str, LayerPlan]:
        """The freeze plan of the current phase, resolved for each layer."""
        return self.phase.plan.resolve(self.card)

    @property
    def frozen_layers(self) -> list[str]:
        """Layers that must not change in the current phase."""
        return [name for name, entry in self.plan.items() if not entry.learns]

    @property
    def learned_layers(self) -> list[str]:
        """Layers that learn in some phase of the run."""
        return self.training_plan.learning()

    @property
    def stored_layers(self) -> list[str]:
        """Layers that checkpoints contain: the learned ones, or all if the initial weights are random and so in no file."""
        return [layer.name for layer in self.card.layers] if self.weights is None else self.learned_layers

    def is_interrupted(self) -> bool:
        """Whether a command, a planned change or the end of this process is due before the next step."""
        return self.control.waiting() or self.control.ended_by is not None or self.training_plan.due(*self.position)
