"""The model in training: shared layers, a head, and the current freeze plan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import torch
from torch import nn

from nbtransfer.core.backbone import BackboneCard, InputSpec
from nbtransfer.core.freeze import FreezePlan, LayerPlan
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.task import Reading
from nbtransfer.engine.data.preparation import Preprocess
from nbtransfer.engine.model import freezing, initial_weights
from nbtransfer.engine.model.custom_head import make_head
from nbtransfer.errors import InputError
from nbtransfer.pretrained import registry
from nbtransfer.pretrained.backbone import Backbone

HEAD = "head"


class TransferModel(nn.Module):
    """Shared layers and a head: one linear layer, or custom layers.

    The current freeze plan always holds: `train()` sets training mode *within* the plan, so that a frozen layer never leaves
    evaluation mode.
    """

    def __init__(
        self,
        backbone: Backbone,
        card: BackboneCard,
        spec: InputSpec,
        classes: tuple[str, ...],
        head: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head: nn.Module = zero_head(card.width, len(classes)) if head is None else head
        self.card, self.spec, self.classes = card, spec, classes
        self.reading = Reading()  # how the files of its task are read, so that others are read alike
        self._stored = frozenset(self.state_dict())
        self._active = freezing.training_modules(backbone.net, card, FreezePlan.none().resolve(card))

    @property
    def linear_head(self) -> nn.Linear:
        """The head, if it is one linear layer; raises InputError if not."""
        if not isinstance(self.head, nn.Linear):
            raise InputError(
                f"the head of this model is a custom {type(self.head).__name__}, but only one linear layer can be split into "
                "the parts of shared layers and head; explain a run without head="
            )
        return self.head

    @property
    def preprocess(self) -> Preprocess:
        """What makes the input of this model of images: `model(model.preprocess("an image.jpg"))`."""
        return Preprocess(self.spec, next(self.parameters()).device, self.reading)

    def forward(self, x: torch.Tensor, start: int = 0) -> torch.Tensor:
        """Logits (N, classes) of normalised images (N, 3, H, W), or of the inputs of stage number `start`.

        After the last stage, inputs are features (N, width).
        """
        return self.head(self.features(x, start))  # type: ignore[no-any-return]

    def features(self, x: torch.Tensor, start: int = 0, end: int | None = None) -> torch.Tensor:
        """The activations of stage number `end` - 1 for inputs of stage number `start`; pooled after the last stage."""
        stages = len(self.backbone.stages)
        end = stages if end is None else end
        if start == 0 and end == stages:
            return self.backbone(x)  # type: ignore[no-any-return]
        if start < stages:
            x = self.backbone.run(x, start, end)
            x = self.backbone.pool(x) if end == stages else x
        return x

    def apply_plan(self, plan: Mapping[str, LayerPlan]) -> None:
        """Apply a freeze plan: to gradients now, to modes now and after every `train()`."""
        self._active = freezing.training_modules(self.backbone.net, self.card, plan)
        for name, entry in plan.items():
            for parameter in self.parameters_of(name):
                parameter.requires_grad_(entry.learns)
                parameter.grad = None
        self.train(self.training)

    def tensors(self, layer: str) -> dict[str, torch.Tensor]:
        """A layer's own parameters and buffers, under their names in the model. `layer` may be "head"."""
        # Buffers outside the state dict are constants of the architecture.
        return {name: tensor.detach() for name, tensor in self._own(layer).items() if name in self._stored}

    def parameters_of(self, layer: str) -> list[nn.Parameter]:
        """A layer's own parameters. `layer` may be "head"."""
        return [tensor for tensor in self._own(layer).values() if isinstance(tensor, nn.Parameter)]

    def _own(self, layer: str) -> dict[str, torch.Tensor]:
        if layer == HEAD:  # a head counts as one layer, whatever it contains
            tensors = [*self.head.named_parameters(), *self.head.named_buffers()]
            return {f"{HEAD}.{name}": tensor for name, tensor in tensors}
        return {f"backbone.{name}": tensor for name, tensor in self.backbone.tensors_of(layer).items()}

    def train(self, mode: bool = True) -> Self:
        """Training mode, as far as the freeze plan allows."""
        super().train(mode)
        if mode:
            for name, module in self.backbone.net.named_modules():
                module.training = name in self._active
        return self


def zero_head(features: int, classes: int) -> nn.Linear:
    """A head of zeros: the shared layers get no gradient in the first step (Kolesnikov et al. 2020, arXiv 1912.11370)."""
    layer = nn.Linear(features, classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def build(recipe: Recipe, card: BackboneCard) -> tuple[TransferModel, str | None]:
    """The untrained model of a recipe, and the digest of the weights it starts from (None when they are random)."""
    spec = recipe.input_for(card)
    built = registry.build(
        card, recipe.weights, own_file=recipe.weights_file is not None, seed=recipe.seed, size=spec.size, codes=recipe.code
    )
    classes, head = recipe.task.classes, None
    if recipe.head is not None:
        head = make_head(recipe.head, recipe.code, card.width, len(classes), recipe.seed)
    model = TransferModel(built.module, card, spec, classes, head)
    model.reading = recipe.task.reading
    if recipe.weights_file is not None:
        _continue_head(model, Path(recipe.weights_file))
    return model, built.digest


def _continue_head(model: TransferModel, path: Path) -> None:
    """Take the head along from another run's weights, if it is one for the same classes and of the same form."""
    given, own = initial_weights.read_head(path, model.classes), model.head.state_dict()
    if given and {name: t.shape for name, t in given.items()} == {name: t.shape for name, t in own.items()}:
        model.head.load_state_dict(given)
