"""Freeze plans: which layers learn, how fast, and how their normalisation behaves."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from nbtransfer.core import catalog
from nbtransfer.core.backbone import BackboneCard, LayerCard
from nbtransfer.core.calls import checked_class
from nbtransfer.core.messages import Message, message
from nbtransfer.core.plan_table import PlanTable, Row
from nbtransfer.core.scalars import plain
from nbtransfer.core.text.counts import short_number
from nbtransfer.core.text.names import suggest
from nbtransfer.errors import PlanError

NormMode = Literal["training", "frozen", "affine_only"]
"""How a normalisation layer behaves.

training     batch statistics, running statistics are updated; weight and bias learn with their layer
frozen       running statistics, never updated; weight and bias learn with their layer
affine_only  running statistics, never updated; weight and bias learn even if everything around them is frozen
"""


@checked_class(PlanError)
@dataclass(frozen=True, slots=True)
class Rule:
    """The effect of one pattern. `None` leaves a property to earlier rules."""

    layers: str
    learns: bool | None = None
    lr: float | None = None
    norm: NormMode | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr", plain(self.lr))
        if self.lr is not None and not 0 <= self.lr < float("inf"):
            raise PlanError(f"the learning-rate multiplier of {self.layers!r} is {self.lr}; use a number from 0 up")

    def __str__(self) -> str:
        """`layer4 learns × 0.1`, `* frozen`, `layer1 norm frozen`."""
        words = [self.layers] if self.learns is None else [self.layers, "learns" if self.learns else "frozen"]
        words += [] if self.lr is None else [f"× {self.lr:g}"]
        return " ".join(words if self.norm is None else [*words, f"norm {self.norm}"])


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """The effect of a plan on one layer.

    learns    its parameters are updated
    lr        multiplier of the phase's learning rate
    updates   its running statistics are updated (normalisation layers that learn in training mode only)
    decayed   how many of its parameters weight decay applies to
    """

    learns: bool
    lr: float
    updates: bool
    decayed: int = 0


@checked_class(PlanError, name="plan")
@dataclass(frozen=True, slots=True)
class FreezePlan:
    """An ordered list of rules for stages and layers; later rules win. A layer without a rule learns.

    Patterns are shell globs over names: "layer4" is the whole stage, "layer1.*" all of it, "*.bn1" every layer of that name.
    A frozen layer takes no part in training: no gradient, evaluation mode, buffers untouched.
    """

    rules: tuple[Rule, ...] = ()

    @classmethod
    def all(cls) -> FreezePlan:
        """Every shared layer is frozen; only the head learns."""
        return cls((Rule("*", learns=False),))

    @classmethod
    def none(cls) -> FreezePlan:
        """Every shared layer learns."""
        return cls((Rule("*", learns=True),))

    @classmethod
    def up_to(cls, backbone: str | BackboneCard, stage: str) -> FreezePlan:
        """Freeze all stages from the input up to and including `stage`; later ones learn."""
        card = catalog.card(backbone) if isinstance(backbone, str) else backbone
        if stage not in card.stages:
            raise PlanError(f"{card.name} has no stage {stage!r}; its stages are {', '.join(card.stages)}")
        frozen = card.stages[: card.stages.index(stage) + 1]
        return cls(tuple(Rule(name, learns=False) for name in frozen))

    def freeze(self, *layers: str) -> FreezePlan:
        """The plan with these layers frozen as well."""
        return self.with_rules(Rule(pattern, learns=False) for pattern in layers)

    def thaw(self, *layers: str, lr: float | None = None) -> FreezePlan:
        """The plan with these layers learning, optionally at `lr` times the learning rate."""
        return self.with_rules(Rule(pattern, learns=True, lr=lr) for pattern in layers)

    def norm(self, mode: NormMode, layers: str = "*") -> FreezePlan:
        """The plan with `mode` for the normalisation layers among `layers`."""
        if mode not in NormMode.__args__:  # type: ignore[attr-defined]
            raise PlanError(f"normalisation mode {mode!r} is unknown; use 'training', 'frozen' or 'affine_only'")
        return self.with_rules([Rule(layers, norm=mode)])

    def with_rules(self, rules: Iterable[Rule]) -> FreezePlan:
        """The plan with these rules after the present ones."""
        return replace(self, rules=(*self.rules, *rules))

    def resolve(self, card: BackboneCard) -> dict[str, LayerPlan]:
        """The effect of the plan on each layer of a backbone; a pattern without a match raises PlanError."""
        for rule in self.rules:
            if not any(_matches(rule, layer) for layer in card.layers):
                known = [*card.stages, *(layer.name for layer in card.layers)]
                raise PlanError(f"no layer of {card.name} is called {rule.layers!r}; {suggest(rule.layers, known)}")
            if rule.norm == "affine_only" and not any(x.normalises and _matches(rule, x) for x in card.layers):
                raise PlanError(
                    f"no layer of {card.name} among {rule.layers!r} is a normalisation with weights of its own, so "
                    "norm('affine_only') would let nothing learn; thaw some layers instead"
                )
        return {layer.name: self._for_layer(layer) for layer in card.layers}

    def _for_layer(self, layer: LayerCard) -> LayerPlan:
        learns, lr, norm = True, 1.0, "training"
        for rule in self.rules:
            if _matches(rule, layer):
                learns = learns if rule.learns is None else rule.learns
                lr = lr if rule.lr is None else rule.lr
                norm = norm if rule.norm is None else rule.norm
        if layer.normalises and norm == "affine_only":
            return LayerPlan(learns=True, lr=lr, updates=False, decayed=layer.decayed)
        updates = learns and layer.keeps_statistics and norm == "training"
        return LayerPlan(learns=learns, lr=lr, updates=updates, decayed=layer.decayed if learns else 0)

    def summary(self, card: BackboneCard) -> Message:
        """One line: what learns, by stage where possible, and how many parameters that is."""
        plans = self.resolve(card)
        learning = sum(layer.params for layer in card.layers if plans[layer.name].learns)
        if all(entry.learns and entry.lr == 1 for entry in plans.values()):
            return message("plan.all", of=card.params)
        stages = [text for s in card.stages if (text := _stage_text(s, [x for x in card.layers if x.stage == s], plans))]
        if not stages:
            return message("plan.none", of=card.params)
        return message("plan.some", learning=learning, of=card.params, stages=stages)

    def table(self, backbone: str | BackboneCard) -> PlanTable:
        """What becomes of each stage: what learns and how fast, what weight decay applies to, whose statistics are updated."""
        card = catalog.card(backbone) if isinstance(backbone, str) else backbone
        plans = self.resolve(card)
        return PlanTable(
            self._row(stage, [(x, plans[x.name]) for x in card.layers if x.stage == stage]) for stage in card.stages
        )

    def _row(self, stage: str, layers: list[tuple[LayerCard, LayerPlan]]) -> Row:
        learning = [(layer, plan) for layer, plan in layers if plan.learns]
        params, whole = (sum(layer.params for layer, _ in some) for some in (learning, layers))
        rates = sorted({plan.lr for layer, plan in learning if layer.params})
        updated, keeping = (sum(entry) for entry in ([p.updates for _, p in layers], [x.keeps_statistics for x, _ in layers]))
        return (
            stage,
            f"{short_number(params)} of {short_number(whole)}",
            ", ".join(f"{rate:g}" for rate in rates) or "–",
            short_number(sum(plan.decayed for _, plan in learning)),
            f"{updated} of {keeping} layers" if keeping else "–",
        )

    def boundary(self, card: BackboneCard) -> int:
        """How many stages, from the input on, are completely frozen."""
        plans = self.resolve(card)
        learning = {layer.stage for layer in card.layers if plans[layer.name].learns}
        return next((i for i, stage in enumerate(card.stages) if stage in learning), len(card.stages))


def _matches(rule: Rule, layer: LayerCard) -> bool:
    """A pattern matches a layer, its stage, or any module around it."""
    parts = layer.name.split(".")
    modules = (".".join(parts[: i + 1]) for i in range(len(parts)))
    return any(fnmatch.fnmatchcase(name, rule.layers) for name in (layer.stage, *modules))


def _stage_text(stage: str, layers: list[LayerCard], plans: dict[str, LayerPlan]) -> str | Message | None:
    """`stage3`, `part of stage3`, `stage3 × 0.1`; None where nothing in it learns."""
    learning = [layer for layer in layers if plans[layer.name].learns]
    if not learning:
        return None
    rates = sorted({plans[layer.name].lr for layer in learning if layer.params} or {1.0})
    ends = dict.fromkeys(f"{rate:g}" for rate in (rates[0], rates[-1]))
    text = stage if rates == [1] else f"{stage} × {'–'.join(ends)}"
    return text if len(learning) == len(layers) else message("plan.part", stage=text)
