"""Whether a value is what an annotation says, and in words what is expected and what is there."""

from __future__ import annotations

import numbers
import os
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Any

from nbtransfer.core.scalars import plain

_IN_WORDS: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    type(None): "None",
    "PathLike": "a path",
    "Run": "a run (from nt.start or nt.attach)",
    "Recipe": "a Recipe",
    "Task": "a Task (from Task.from_folder)",
    "TaskCard": "a Task (from Task.from_folder)",
    "FreezePlan": "a FreezePlan (such as FreezePlan.all())",
    "Strategy": "a Strategy",
    "Phase": "a Phase",
    "BackboneCard": "a BackboneCard (from nt.backbone)",
    "TransferModel": "a model (from run.model() or nt.load_model)",
    "Draft": "a Draft",
}

_HINTS: dict[tuple[str, str], str] = {
    ("Recipe", "Task"): "put it into one: nt.Recipe(task=task, backbone='resnet18')",
    ("Recipe", "str"): "make one with nt.Recipe(task=…, backbone=…)",
    ("Recipe", "Run"): "use run.recipe, or nt.repeat(run)",
    ("Task", "str"): "make one with nt.Task.from_folder(path)",
    ("Task", "Recipe"): "use recipe.task",
    ("Task", "Run"): "use run.task",
    ("Run", "str"): "open it with nt.attach(id)",
    ("Run", "Recipe"): "start it with nt.start(recipe)",
    ("Run", "Task"): "start one with nt.start(nt.Recipe(task=task, backbone='resnet18'))",
    ("TransferModel", "Run"): "use run.predict(images), or run.model()",
    ("TransferModel", "str"): "load it with nt.load_model(folder)",
    ("FreezePlan", "str"): "write FreezePlan.none().freeze('layer1'), for example",
    ("folder", "Run"): "the model of a run is run.model()",
    ("BackboneCard", "Recipe"): "use recipe.backbone",
}
"""What to do with a value of the second class where one of the first, or the argument of that name, is expected."""
_ONE = {"root": "folder", "place": "folder", "run_id": "id"}
"""What an argument that takes one value is, where its name does not say it."""

_MOST_LETTERS = 60


class Mismatch(Exception):  # noqa: N818 - becomes an InputError with the name of the argument
    """A value is not what is expected."""

    def __init__(self, hint: Any, value: Any) -> None:
        super().__init__()
        self.hint, self.value = hint, value
        self.inside = False
        self.many = False

    def sentence(self, name: str) -> str:
        """`epochs should be a whole number, not 'ten'`, and what to do where that is not plain."""
        called = f"each of {name}" if self.inside else name
        text = f"{called} should be {expected(self.hint)}, not {shown(self.value)}"
        kinds, given = [_name(kind) for kind in _options(self.hint)], type(self.value).__name__
        found = [_HINTS[kind, given] for kind in (name, *kinds) if (kind, given) in _HINTS]
        if not found and "str" in kinds and given in ("list", "tuple"):
            found = [
                "give the names as separate arguments, or unpack them: *names"
                if self.many
                else f"give one {_ONE.get(name, 'value' if name.endswith('s') else name)}"
            ]
        return f"{text}; {found[0]}" if found else text


def fitted(hint: Any, value: Any) -> Any:
    """The value as the annotation says, numbers of other libraries as Python's; raises Mismatch."""
    if hint is Any:
        return value
    value = plain(value)
    for kind in _options(hint):
        if typing.get_origin(kind) is tuple and isinstance(value, (list, tuple)):
            return _fitted_tuple(typing.get_args(kind), value)
        if _fits(kind, value):
            return float(value) if kind is float else int(value) if kind is int else value
    raise Mismatch(hint, value)


def _fitted_tuple(kinds: tuple[Any, ...], values: Sequence[Any]) -> tuple[Any, ...]:
    if len(kinds) != 2 or kinds[1] is not Ellipsis:
        return tuple(values)
    try:
        return tuple(fitted(kinds[0], value) for value in values)
    except Mismatch as wrong:
        wrong.inside = True
        raise


def expected(hint: Any) -> str:
    """An annotation in words."""
    words = dict.fromkeys(_words(kind) for kind in _options(hint))
    *first, last = sorted(words, key="None".__eq__)
    return f"{', '.join(first)} or {last}" if first else last


def shown(value: Any) -> str:
    """A value in a sentence: itself if it is short, else what it is."""
    if value is None or isinstance(value, (bool, int, float, str)):
        text = repr(value)
        if len(text) <= _MOST_LETTERS:
            return text
        return f"{text[:_MOST_LETTERS]}…"
    name = value.__name__ if isinstance(value, type) else type(value).__name__
    article = "the class" if isinstance(value, type) else "an" if name[0].lower() in "aeiou" else "a"
    return f"{article} {name}"


def _options(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the one kind that it is."""
    hint = getattr(hint, "__value__", hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return tuple(kind for option in typing.get_args(hint) for kind in _options(option))
    return (hint,)


def _fits(kind: Any, value: Any) -> bool:  # noqa: PLR0911 - one case a kind
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return isinstance(value, str)  # which ones there are, the function says itself, with the nearest
    if origin is Iterable:
        return hasattr(value, "__iter__") and not isinstance(value, str)
    if origin is Sequence:  # arrays are none by their class
        return hasattr(value, "__len__") and hasattr(value, "__iter__") and not isinstance(value, str)
    if kind is Any:
        return True
    if kind is float:
        return isinstance(value, numbers.Real) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if origin is not None and isinstance(origin, type):
        return isinstance(value, origin)
    return isinstance(value, kind) if isinstance(kind, type) else True


def _name(kind: Any) -> str:
    found = typing.get_origin(kind) or kind
    return getattr(found, "__name__", str(found))


def _words(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(map(repr, typing.get_args(kind)))
    origin = typing.get_origin(kind)
    if origin is os.PathLike:
        return _IN_WORDS["PathLike"]
    name = _name(kind)
    plural = {"Sequence": "a list", "Mapping": "a dictionary", "Iterable": "a list", "tuple": "a list", "dict": "a dictionary"}
    return _IN_WORDS.get(kind) or _IN_WORDS.get(name) or plural.get(name) or {"Callable": "a function"}.get(name) or f"a {name}"
