"""Recipes in YAML: the same keys as Recipe, each checked, nothing evaluated.

task: {path: images/, holdout: 0.25}    a folder, `demo:textile`, or a mapping with the options of Task.from_folder
backbone: resnet18
freeze: {up_to: layer3}                 or a list of layers, or {freeze: [...], thaw: [...]}
strategy: ft                            or a mapping with name and phases
lr: 1e-3
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from nbtransfer.commands import plain_yaml
from nbtransfer.commands.arguments import parse_weights
from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.codec import from_plain
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.strategy import Strategy
from nbtransfer.core.task import TaskCard
from nbtransfer.core.text.names import suggest
from nbtransfer.errors import InputError, RecipeError
from nbtransfer.pretrained.listing import backbone
from nbtransfer.tasks.check import OnProblem
from nbtransfer.tasks.task import DEMO_PREFIX, Task

KEYS = tuple(field.name for field in fields(Recipe) if field.name != "code")  # code is written in cells and files
_ANY: dict[str, Any] = {"task": TaskCard("any", "folder", "", ("a", "b"), ()), "backbone": "any"}
_IN_WORDS = {"float": "a number", "int": "a whole number", "str": "text"}
T = TypeVar("T")


@dataclass(frozen=True)
class TaskText:
    """A task as a mapping: its location, and the options of Task.from_folder."""

    path: str | None = None
    demo: str | None = None
    holdout: float | None = None
    test: float | str | tuple[str, ...] | None = None
    seed: int | None = None
    per_class: int | None = None
    unreadable: OnProblem | None = None
    duplicates: OnProblem | None = None
    groups: str | None = None
    layout: str | None = None
    train: str | tuple[str, ...] | None = None
    val: str | tuple[str, ...] | None = None
    ignore: str | tuple[str, ...] | None = None
    white_level: int | None = None
    max_aspect: float | None = None
    name: str | None = None


@dataclass(frozen=True)
class PlanText:
    """A freeze plan as a mapping: freeze up to a stage, or only these layers; then thaw those."""

    up_to: str | None = None
    freeze: tuple[str, ...] = ()
    thaw: tuple[str, ...] = ()


def read(text: str, backbone_name: str) -> dict[str, Any]:
    """The fields of a Recipe that a text sets.

    `backbone_name` is used if the text names none. Raises an InputError of one sentence, with the line if it is known.
    """
    given = plain_yaml.read(text)
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise RecipeError("a recipe consists of lines `key: value`, such as `backbone: resnet18`")
    _check_keys(given, KEYS)
    shared = given.get("backbone", backbone_name)
    return {key: _at(given, key, shared) for key in given}


def _check_keys(given: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in given:
        if key not in known:
            raise RecipeError(f"{plain_yaml.line_of(given, key)}there is no setting {key!r}; {suggest(key, known)}")


def _at(given: Mapping[str, Any], key: str, shared: Any) -> Any:
    """The value of one key, or an error that names its line."""
    try:
        return _value(key, given[key], shared)
    except InputError as error:
        message, line = " ".join(str(error).split()), plain_yaml.line_of(given, key)
        raise type(error)(message if message.startswith("line ") else line + message) from error


def _value(key: str, value: Any, shared: Any) -> Any:
    if key == "task":
        return _task(value)
    if key == "freeze" and value is not None:
        plan = _plan(value, shared)
        plan.resolve(_card(shared))
        return plan
    if key == "weights" and isinstance(value, str):
        return parse_weights(value)
    if key == "strategy" and isinstance(value, Mapping):
        return _strategy(value, shared)
    return getattr(_fit(Recipe, {**_ANY, key: value}), key)


def _task(value: Any) -> Task:
    if isinstance(value, str):
        return Task.named(value)
    if not isinstance(value, Mapping):
        raise RecipeError("task should be a folder, demo:textile, or a mapping with path or demo")
    _check_keys(value, [field.name for field in fields(TaskText)])
    options = {name: option for name, option in asdict(_fit(TaskText, value)).items() if option is not None}
    path, demo = options.pop("path", None), options.pop("demo", None)
    if (path is None) == (demo is None):
        raise RecipeError("task needs either path, a folder, or demo, such as textile")
    return Task.named(path if demo is None else DEMO_PREFIX + demo, **options)


def _plan(value: Any, shared: Any) -> FreezePlan:
    if isinstance(value, (str, list)):
        value = {"freeze": [value] if isinstance(value, str) else value}
    if not isinstance(value, Mapping):
        raise RecipeError(f"freeze should be a list of layers, or a mapping with freeze, thaw or up_to, not {value!r}")
    _check_keys(value, [field.name for field in fields(PlanText)])
    plan = _fit(PlanText, value)
    if plan.up_to is not None:
        return FreezePlan.up_to(_card(shared), plan.up_to).freeze(*plan.freeze).thaw(*plan.thaw)
    if plan.thaw and not plan.freeze:
        return FreezePlan.all().thaw(*plan.thaw)
    return FreezePlan.none().freeze(*plan.freeze).thaw(*plan.thaw)


def _strategy(value: Mapping[str, Any], shared: Any) -> Strategy:
    phases = value.get("phases")
    if not isinstance(phases, list) or not all(isinstance(phase, Mapping) and "plan" in phase for phase in phases):
        raise RecipeError("a custom strategy needs a name and phases, each with name, plan and epochs")
    built = [{**phase, "plan": _plan(phase["plan"], shared)} for phase in phases]
    return _fit(Strategy, {**value, "phases": built})


def _card(shared: Any) -> BackboneCard:
    if not isinstance(shared, str):
        raise RecipeError(f"backbone should be a name, not {shared!r}")
    return backbone(shared)


def _fit(kind: type[T], values: Mapping[str, Any]) -> T:
    """A dataclass of these values. Its errors avoid the names of Python classes and types."""
    try:
        return from_plain(kind, values)
    except InputError as error:
        message = str(error).replace(f"{kind.__name__}.", "", 1)
        for type_, word in _IN_WORDS.items():
            message = message.replace(f"of type {type_},", f"{word},")
        raise type(error)(message) from error
