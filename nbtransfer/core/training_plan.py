"""The training plan of a run: the phases of its recipe, and the changes made to them while it runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nbtransfer.core import ranges
from nbtransfer.core import strategy as strategies
from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.codec import from_plain
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.recipe import Recipe, Solver
from nbtransfer.core.strategy import Phase, Strategy
from nbtransfer.core.tree import layers_of, plan_of
from nbtransfer.errors import InputError, PlanError

CHANGES = ("freeze", "thaw", "replan", "set_lr", "set_epochs")
"""Commands that change the training plan. All others (pause, resume, stop, checkpoint) leave the results as they are."""
PLANNING = ("freeze", "thaw", "replan")
"""Those that change which layers learn."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change: `op` with its arguments, made in phase number `phase` after `step` steps of the run.

    freeze      layers            freeze them from now on, in later phases too
    thaw        layers, lr        let them learn from now on, `lr` times as fast as the head (None: as their plan says)
    replan      rules             those of the freeze plan that is in force from now on, in later phases too
                frozen            nodes of the layer tree instead, in what older versions wrote: freeze exactly their layers
    set_lr      lr                the peak learning rate of this phase; its schedule continues from where it is
    set_epochs  epochs            the length of the run, all phases together; the last phase takes up the difference
    stop                          end the run here (only in a history to repeat)
    """

    phase: int
    step: int
    op: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass
class TrainingPlan:
    """The phases as they are now, the changes made so far, and those to come when a run is repeated or resumed."""

    recipe: Recipe
    card: BackboneCard
    coming: list[Change] = field(default_factory=list)
    made: list[Change] = field(default_factory=list)
    planned: Strategy = field(init=False)
    strategy: Strategy = field(init=False)
    _ever_learning: dict[FreezePlan, frozenset[str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.planned = self.recipe.resolved(self.card)
        self._follow(self.planned)

    def restore_changes(self, strategy: Strategy, done: int) -> None:
        """Take the phases as they were after the first `done` of the changes to come."""
        made, self.coming = self.coming[:done], self.coming[done:]
        for change in made:  # a layer may have learned between two of them only
            if change.op in PLANNING:
                self.apply(change)
        self.made = made
        self._follow(strategy)

    def _follow(self, strategy: Strategy) -> None:
        self.strategy = strategy
        for plan in {phase.plan for phase in strategy.phases} - self._ever_learning.keys():
            resolved = plan.resolve(self.card)
            self._ever_learning[plan] = frozenset(name for name, entry in resolved.items() if entry.learns)
        # Needed at every step, and slow to compute.
        self._lrs = [p.lr or strategies.default_lr(self.recipe.optimiser, p.plan, self.card) for p in self.phases]

    @property
    def replan_count(self) -> int:
        """How often the set of learning layers was changed."""
        return sum(change.op in PLANNING for change in self.made)

    @property
    def phases(self) -> tuple[Phase, ...]:
        return self.strategy.phases

    def solver(self, index: int) -> Solver | None:
        """The solver of a phase's head; None if the head is trained, as it is once the phase was changed."""
        phase = self.phases[index]
        return self.recipe.solver(phase, self.card) if phase == self.planned.phases[index] else None

    def lr(self, index: int) -> float:
        """The peak learning rate of a phase."""
        return self._lrs[index]

    def learning(self) -> list[str]:
        """Layers that learn in some phase, as planned at first, now or in between."""
        learning = frozenset[str]().union(*self._ever_learning.values())
        return [layer.name for layer in self.card.layers if layer.name in learning]

    @property
    def never_learning(self) -> int:
        """How many stages, from the input on, never learn."""
        learning = set(self.learning())
        stages = {layer.stage for layer in self.card.layers if layer.name in learning}
        return next((number for number, stage in enumerate(self.card.stages) if stage in stages), len(self.card.stages))

    def due(self, phase: int, step: int) -> bool:
        """Whether the next change to come is due at this position."""
        return bool(self.coming) and (self.coming[0].phase, self.coming[0].step) <= (phase, step)

    def apply(self, change: Change, *, begun: int = 0) -> None:
        """Change the phases; raises an InputError if that is impossible. `begun` epochs of the phase have begun."""
        check(change.op, change.arguments)
        phases, now = list(self.phases), change.phase
        if change.op == "set_lr":
            phases[now] = replace(phases[now], lr=change.arguments["lr"])
        elif change.op == "set_epochs":
            phases[-1] = self._with_epochs(change.arguments["epochs"], begun if now == len(phases) - 1 else 0)
        else:
            for index in range(now, len(phases)):
                phases[index] = self._with_layers(index, change)
        self._follow(replace(self.strategy, phases=tuple(phases)))
        self.made.append(change)

    def _with_epochs(self, epochs: int, begun: int) -> Phase:
        last, others = self.phases[-1], sum(phase.epochs for phase in self.phases[:-1])
        if self.solver(len(self.phases) - 1):
            raise PlanError(f"the head of phase {last.name!r} is fitted by a solver, which takes no epochs")
        if epochs - others < max(begun, 1):
            least = others + max(begun, 1)
            raise PlanError(f"{epochs} epochs are fewer than have begun or precede this phase; use {least} or more, or stop")
        return replace(last, epochs=epochs - others)

    def _with_layers(self, index: int, change: Change) -> Phase:
        """A phase with layers frozen or thawed. Its learning rate stays, unless a solver needed none."""
        phase, given = self.phases[index], change.arguments
        if change.op == "replan":
            frozen = given.get("frozen")
            plan = _given_plan(given) if frozen is None else plan_of(self.card, layers_of(self.card, frozen), like=phase.plan)
        elif change.op == "thaw":
            plan = phase.plan.thaw(*given["layers"], lr=given.get("lr"))
        else:
            plan = phase.plan.freeze(*given["layers"])
        plan.resolve(self.card)
        return replace(phase, plan=plan, lr=phase.lr if self.solver(index) else self.lr(index))


def phases_at(
    recipe: Recipe, card: BackboneCard, phase: int, step: int, *, made: Iterable[Change], repeated: Iterable[Change] = ()
) -> tuple[Phase, ...]:
    """The phases as they are planned in phase number `phase` after `step` steps of the run.

    made      the changes of the run so far
    repeated  the changes of the run it repeats; those due after `step` are ignored
    """
    plan = TrainingPlan(recipe, card)
    due = (change for change in repeated if (change.phase, change.step) <= (phase, step))
    for change in merge(due, made):
        if change.op != "stop":
            plan.apply(change)
    return plan.phases


def merge(*histories: Iterable[Change]) -> list[Change]:
    """The changes of several histories by position; those at one position stay in the order given."""
    return sorted(itertools.chain(*histories), key=lambda change: (change.phase, change.step))


def check(op: str, arguments: dict[str, Any]) -> None:
    """Raise an InputError unless a change has valid arguments. Layer names are checked by their plan."""
    if op in ("freeze", "thaw"):
        layers = arguments.get("layers")
        if not _names(layers):
            raise InputError(f"{op} needs the names of layers or stages, not {layers!r}")
        _no_others(op, arguments, {"layers"} | ({"lr"} if op == "thaw" else set()))
        FreezePlan().thaw("*", lr=_number(arguments.get("lr")) if arguments.get("lr") is not None else None)
    elif op == "replan" and "frozen" in arguments:
        frozen = arguments["frozen"]
        if frozen != [] and not _names(frozen):
            raise InputError(f"replan needs the names of the layers to freeze, not {frozen!r}")
        _no_others(op, arguments, {"frozen"})
    elif op == "replan":
        _given_plan(arguments)
        _no_others(op, arguments, {"rules"})
    elif op == "set_lr":
        lr = _number(arguments.get("lr"))
        _no_others(op, arguments, {"lr"})
        if not ranges.RANGES["lr"].fits(lr):
            raise InputError(f"the learning rate is {lr}; use a number above 0, and at most {ranges.RANGES['lr'].high:g}")
    elif op == "set_epochs":
        epochs = arguments.get("epochs")
        _no_others(op, arguments, {"epochs"})
        ranges.check("epochs", epochs)
    else:
        raise InputError(f"{op!r} is not a change of the training plan; use one of {', '.join(CHANGES)}")


def _given_plan(arguments: dict[str, Any]) -> FreezePlan:
    """The plan that a change asks for; raises InputError."""
    return from_plain(FreezePlan, {"rules": arguments.get("rules")})


def _names(layers: object) -> bool:
    return isinstance(layers, Sequence) and not isinstance(layers, str) and len(layers) > 0 and all(
        isinstance(name, str) and 0 < len(name) <= 500 for name in layers
    )  # fmt: skip


def _number(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise InputError(f"{value!r} is not a number; use one such as 0.001")
    return float(value)


def _no_others(op: str, arguments: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(set(arguments) - known)
    if unknown:
        raise InputError(f"{op} has no argument {unknown[0]!r}; it has {', '.join(sorted(known))}")
