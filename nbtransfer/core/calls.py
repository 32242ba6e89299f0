"""Public calls answer wrong arguments with one sentence that says what to do.

`checked` compares a call with the signature and the annotations of its function: names with typos, missing arguments, one too
many, and values of another kind. Values are compared only where an annotation says plainly what they are: text, numbers, paths,
choices, and classes of this package. NumPy's numbers count as numbers.
"""

from __future__ import annotations

import functools
import inspect
import os
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nbtransfer.core.kinds import Mismatch, fitted
from nbtransfer.core.text.names import suggest
from nbtransfer.errors import InputError

C = TypeVar("C", bound=Callable[..., Any])
K = TypeVar("K")
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_KEYWORDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def checked(error: type[InputError] = InputError, *, name: str | None = None, kinds: bool = True) -> Callable[[C], C]:
    """Let a function raise `error` for wrong arguments. `name` is what people call it; without `kinds` only names count."""

    def decorate(function: C) -> C:
        called = name or function.__name__
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: Any, **named: Any) -> Any:
            bound = _bound(signature, called, error, args, named)
            if kinds:
                hints = _hints(function)
                for own, value in bound.arguments.items():
                    bound.arguments[own] = _fit(signature.parameters[own], hints.get(own, Any), value, error)
            return function(*bound.args, **bound.kwargs)

        return typing.cast("C", call)

    return decorate


def checked_class(
    error: type[InputError], *, name: str | None = None, making: bool = True, kinds: bool = True
) -> Callable[[type[K]], type[K]]:
    """The same for making an object of a class, and for its own public methods, called `name.method`.

    `help` shows all signatures as before. Without `making`, only methods are checked; without `kinds`, only the names in
    making one.
    """

    def decorate(kind: type[K]) -> type[K]:
        for own, value in list(vars(kind).items()):
            if own.startswith("_") or not isinstance(value, (types.FunctionType, classmethod)):
                continue
            if isinstance(value, classmethod):
                setattr(kind, own, classmethod(checked(error, name=f"{kind.__name__}.{own}")(value.__func__)))
            else:
                setattr(kind, own, checked(error, name=f"{name or kind.__name__}.{own}")(value))
        if making:
            kind.__init__ = checked(error, name=kind.__name__, kinds=kinds)(kind.__init__)  # type: ignore[method-assign]
        return kind

    return decorate


def _bound(
    signature: inspect.Signature, called: str, error: type[InputError], args: tuple[Any, ...], named: Mapping[str, Any]
) -> inspect.BoundArguments:
    try:
        return signature.bind(*args, **named)
    except TypeError as wrong:
        raise error(_sentence(signature, called, args, named) or f"{called}: {wrong}") from None


def _sentence(signature: inspect.Signature, called: str, args: tuple[Any, ...], named: Mapping[str, Any]) -> str | None:
    """What is wrong with a call, and what to do."""
    parameters = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    own = len(signature.parameters) - len(parameters)
    known = [p.name for p in parameters if p.kind in _KEYWORDS]
    unknown = [word for word in named if word not in known]
    places = [p for p in parameters if p.kind in _POSITIONAL]
    given = len(args) - own
    if unknown:
        hint = suggest(unknown[0], known) if known else "leave it out"
        return f"{called} has no argument {unknown[0]!r}; {hint}"
    if given > len(places):
        return f"{called} takes {_count(len(places))} without a name; {_names(called, parameters, places, given)}"
    twice = [p.name for p in places[:given] if p.name in named]
    if twice:
        return f"{called} is given {twice[0]} twice; give it once"
    lacking = [p.name for p in parameters if p.default is p.empty and p.kind in (*_POSITIONAL, *_KEYWORDS)]
    lacking = [word for word in lacking if word not in named and word not in [p.name for p in places[:given]]]
    return f"{called} needs {' and '.join(lacking)}; see help({called})" if lacking else None


def _count(number: int) -> str:
    return {0: "no argument", 1: "one argument"}.get(number, f"{number} arguments")


def _names(called: str, parameters: list[inspect.Parameter], places: list[inspect.Parameter], given: int) -> str:
    """How to give the others."""
    if places and places[-1].name == "images":
        before = "".join(f"{p.name}, " for p in places[:-1])
        return f"give a list: {called}({before}[a, b])"
    rest = [p.name for p in parameters if p not in places and p.kind is inspect.Parameter.KEYWORD_ONLY]
    return f"name the others, such as {', '.join(f'{name}=…' for name in rest[:2])}" if rest else _left_out(places, given)


def _left_out(places: list[inspect.Parameter], given: int) -> str:
    return "leave the others out" if places else "leave it out" if given == 1 else "leave them out"


@functools.cache
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of the arguments. One that only type checkers can see says nothing here."""
    found: dict[str, Any] = {}
    names = getattr(inspect.unwrap(function), "__globals__", {})
    for argument, hint in inspect.unwrap(function).__annotations__.items():
        try:
            found[argument] = typing.get_type_hints(types.SimpleNamespace(__annotations__={argument: hint}), names)[argument]
        except NameError:
            found[argument] = Any
    return found


def _fit(parameter: inspect.Parameter, hint: Any, value: Any, error: type[InputError]) -> Any:
    if parameter.name in ("self", "cls") or value is parameter.default:
        return value
    try:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            return tuple(fitted(hint, item) for item in value)
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            return value
        return fitted(hint, os.fspath(value) if isinstance(value, os.PathLike) and hint is str else value)
    except Mismatch as wrong:
        wrong.many = parameter.kind is inspect.Parameter.VAR_POSITIONAL
        raise error(wrong.sentence(parameter.name)) from None
