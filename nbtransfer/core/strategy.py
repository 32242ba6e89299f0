"""Strategies: a freeze plan, a learning-rate schedule and a length make a phase; phases in order make a strategy."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.calls import checked_class
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.ranges import RANGES
from nbtransfer.core.scalars import plain
from nbtransfer.core.text.names import suggest
from nbtransfer.errors import PlanError

MOST_LETTERS = 40
SCRATCH = "scratch"
_NAME = re.compile(rf"[^\W_][\w .+-]{{0,{MOST_LETTERS - 2}}}[\w+-]|[^\W_]")

Schedule = Literal["one_cycle", "cosine", "constant"]


@checked_class(PlanError)
@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of training under one freeze plan.

    `lr` is the peak learning rate of the head; a shared layer learns at `lr` times the multiplier in its plan. `None` is
    the optimiser's default for what learns (see `default_lr`).
    """

    name: str
    plan: FreezePlan
    epochs: int
    lr: float | None = None
    schedule: Schedule = "one_cycle"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise PlanError(
                f"{self.name!r} is no name for a phase; use up to {MOST_LETTERS} letters, digits, spaces and . _ - + "
                "of which the first is a letter or digit: it names files"
            )
        for name in ("epochs", "lr"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        if not RANGES["epochs"].fits(self.epochs):
            raise PlanError(f"phase {self.name!r} has {self.epochs!r} epochs; give it {RANGES['epochs']}")
        if self.lr is not None and not RANGES["lr"].fits(self.lr):
            raise PlanError(f"phase {self.name!r} has learning rate {self.lr}; use {RANGES['lr']}")
        if self.schedule not in (known := typing.get_args(Schedule)):
            raise PlanError(f"there is no schedule {self.schedule!r}; {suggest(self.schedule, known)}")


@checked_class(PlanError)
@dataclass(frozen=True, slots=True)
class Strategy:
    """A named sequence of phases."""

    name: str
    phases: tuple[Phase, ...]

    def __post_init__(self) -> None:
        if not self.phases:
            raise PlanError(f"strategy {self.name!r} has no phase; give it at least one")
        names = [phase.name for phase in self.phases]
        twice = next((name for number, name in enumerate(names) if name.casefold() in map(str.casefold, names[:number])), None)
        if twice is not None:
            raise PlanError(f"strategy {self.name!r} has two phases called {twice!r}; give each a name of its own")

    @property
    def epochs(self) -> int:
        return sum(phase.epochs for phase in self.phases)


def _lp(_card: BackboneCard, epochs: int, _solved: bool) -> tuple[Phase, ...]:
    return (Phase("lp", FreezePlan.all(), epochs),)


def _last_stage(card: BackboneCard, epochs: int, _solved: bool) -> tuple[Phase, ...]:
    return (Phase("last_stage", FreezePlan.all().thaw(*_tail(card)), epochs),)


def _ft(_card: BackboneCard, epochs: int, _solved: bool) -> tuple[Phase, ...]:
    return (Phase("ft", FreezePlan.none(), epochs),)


def _scratch(_card: BackboneCard, epochs: int, _solved: bool) -> tuple[Phase, ...]:
    return (Phase(SCRATCH, FreezePlan.none(), epochs),)


def _lp_ft(card: BackboneCard, epochs: int, solved: bool) -> tuple[Phase, ...]:
    if epochs < 2:
        raise PlanError("strategy 'lp_ft' has two phases and needs at least 2 epochs; give more or use 'ft'")
    probe = 1 if solved else max(1, round(epochs * 0.3))
    return (*_lp(card, probe, solved), *_ft(card, epochs - probe, solved))


def _tail(card: BackboneCard) -> tuple[str, ...]:
    """The last stage with at least 5 % of the parameters, and all after it: tuning a lone final norm is pointless."""
    for index in range(len(card.stages) - 1, -1, -1):
        tail = card.stages[index:]
        if sum(card.stage_params[name] for name in tail) >= 0.05 * card.params:
            return tail
    return card.stages


STRATEGIES: dict[str, Callable[[BackboneCard, int, bool], tuple[Phase, ...]]] = {
    "lp": _lp,
    "last_stage": _last_stage,
    "lp_ft": _lp_ft,
    "ft": _ft,
    SCRATCH: _scratch,
}
"""Named strategies.

lp          linear probing: only the head learns
last_stage  the last stage and the head learn
lp_ft       linear probing, then everything learns (Kumar et al. 2022, arXiv 2202.10054)
ft          fine-tuning: everything learns from the first step
scratch     a source task: everything learns, from random weights
"""


def check_name(name: str) -> None:
    """Raise PlanError unless `name` is a known strategy."""
    if name not in STRATEGIES:
        raise PlanError(f"there is no strategy {name!r}; {suggest(name, STRATEGIES)}")


def build(name: str, card: BackboneCard, epochs: int, *, solved: bool = False) -> Strategy:
    """The named strategy for a backbone, `epochs` long in all. A `solved` head takes just one of them."""
    check_name(name)
    return Strategy(name, STRATEGIES[name](card, epochs, solved))


def default_lr(optimiser: str, plan: FreezePlan, card: BackboneCard) -> float:
    """Default peak learning rate: larger if only the head learns. Reasons in docs/explanation/strategies.md."""
    head_only = plan.boundary(card) == len(card.stages)
    if optimiser == "sgd":
        return 0.1 if head_only else 0.01
    return 1e-2 if head_only else 1e-3


def with_overrides(strategy: Strategy, *, lr: float | None, schedule: Schedule | None, plan: FreezePlan | None) -> Strategy:
    """The strategy with a recipe's settings applied to its last phase, where most of the learning happens."""
    last = strategy.phases[-1]
    last = replace(last, lr=lr or last.lr, schedule=schedule or last.schedule, plan=plan or last.plan)
    return replace(strategy, phases=(*strategy.phases[:-1], last))
