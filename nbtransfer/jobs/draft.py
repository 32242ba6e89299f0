"""The next run, while the user is still choosing. The magics and dashboards of a kernel share one draft."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.recipe import OWN_NET, Recipe, Solver
from nbtransfer.core.strategy import SCRATCH, Phase, Strategy
from nbtransfer.core.task import TaskCard
from nbtransfer.errors import InputError, TaskError
from nbtransfer.pretrained.listing import backbone
from nbtransfer.tasks.task import Task
from nbtransfer.usercode.module import remember

MOST_UNDONE = 100

_ANY_TASK = TaskCard("any", "folder", "", ("a", "b"), ())


@dataclass(frozen=True)
class Choices:
    """The choices so far.

    freeze    replaces the plan of the strategy's last phase; None keeps it
    settings  other fields of a Recipe; missing ones take the recipe's default
    """

    task: Task | None = None
    backbone: str = "resnet18"
    freeze: FreezePlan | None = None
    settings: dict[str, Any] = field(default_factory=dict)


class Draft:
    """A recipe in progress. Every change is checked at once, as far as possible without the rest."""

    def __init__(self, task: Task | None = None) -> None:
        self.choices = Choices(task)
        self.revision = 0
        self._past: list[Choices] = []
        self._changing = threading.Lock()  # a dashboard and a cell may choose at the same time

    def choose(self, **changes: Any) -> None:
        """Change some choices: `task`, `backbone`, `freeze`, or any other field of a Recipe; all of them or none.

        A new backbone resets weights and freeze plan, a new strategy resets the plan, and "scratch" brings random weights;
        between strategies with the same plan, a plan chosen by hand is kept; `undo` takes a change back. Raises an InputError
        if a choice cannot work.
        """
        with self._changing:
            changes = {**_other_weights(changes, self.choices), **changes}
            fixed = {name: changes.pop(name) for name in ("task", "backbone", "freeze") if name in changes}
            chosen = replace(self.choices, settings={**self.choices.settings, **changes}, **fixed)
            if "freeze" not in fixed and ("backbone" in fixed or _strategy_plan(chosen) != _strategy_plan(self.choices)):
                chosen = replace(chosen, freeze=None)
            _recipe(chosen, chosen.task or _ANY_TASK).check_against(backbone(chosen.backbone))
            self._past = [*self._past[-MOST_UNDONE + 1 :], self.choices]
            self.choices = chosen
            self.revision += 1

    def undo(self) -> None:
        """Take back the last change; raises InputError if there is none."""
        with self._changing:
            if not self._past:
                raise InputError("there is nothing to undo: no choice has been changed here yet")
            *self._past, self.choices = self._past
            self.revision += 1

    @property
    def changed(self) -> bool:
        """Whether there is something to undo."""
        return bool(self._past)

    @property
    def dropped_plan(self) -> bool:
        """Whether the last change put the strategy's own freeze plan in the place of one made by hand."""
        last = self._past[-1] if self._past else None
        return last is not None and last.freeze is not None and self.choices.freeze is None

    def like(self, recipe: Recipe) -> None:
        """Copy all choices from a recipe, such as that of a run."""
        task, settings = Task.of(recipe.task), {f.name: getattr(recipe, f.name) for f in fields(recipe) if f.name != "code"}
        remember(recipe.code)
        self.choose(**{**settings, "task": task})

    @property
    def card(self) -> BackboneCard:
        return backbone(self.choices.backbone)

    @property
    def strategy(self) -> Strategy:
        """The phases as the run would carry them out."""
        return _recipe(self.choices, _ANY_TASK).resolved(self.card)

    def solver(self, phase: Phase) -> Solver | None:
        """The solver for the head of a phase; None if it would be trained."""
        return _recipe(self.choices, self.choices.task or _ANY_TASK).solver(phase, self.card)

    @property
    def plan(self) -> FreezePlan:
        """The freeze plan of the last phase."""
        return self.strategy.phases[-1].plan

    def recipe(self) -> Recipe:
        """The recipe of the next run; raises TaskError without a task."""
        if self.choices.task is None:
            raise TaskError("there is no target task yet; choose a folder of labelled images, or demo:textile")
        return _recipe(self.choices, self.choices.task)

    def __repr__(self) -> str:
        task = repr(self.choices.task) if self.choices.task else "no task yet"
        return f"Draft({task}, {self.choices.backbone!r}, {self.strategy.name!r}, {self.plan.summary(self.card)})"


def _other_weights(changes: Mapping[str, Any], choices: Choices) -> dict[str, Any]:
    """The weights that come with a change: the default ones of another backbone, random ones with "scratch"."""
    strategy, before = (found.get("strategy", Recipe.strategy) for found in ({**choices.settings, **changes}, choices.settings))
    if strategy == SCRATCH:
        return {"weights": None}
    if "backbone" not in changes and before != SCRATCH:
        return {}
    own = str(changes.get("backbone", choices.backbone)).startswith(OWN_NET)  # for which none are published
    return {"weights": None if own else "default"}


def _strategy_plan(choices: Choices) -> FreezePlan:
    """The strategy's own plan for the last phase."""
    return _recipe(replace(choices, freeze=None), _ANY_TASK).resolved(backbone(choices.backbone)).phases[-1].plan


def _recipe(choices: Choices, task: TaskCard) -> Recipe:
    return Recipe(task=task, backbone=choices.backbone, freeze=choices.freeze, **choices.settings)
