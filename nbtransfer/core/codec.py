"""Dataclasses to JSON and back.

One small codec serves recipes, cards and events, so every file in a run folder can be read without nbtransfer.
NaN and infinities become the strings "NaN", "Infinity" and "-Infinity": Python's own spelling is not valid JSON.
Text is written as ASCII, which preserves file names that are not valid Unicode (surrogate escapes).
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from nbtransfer.core.messages import Message
from nbtransfer.errors import InputError

T = typing.TypeVar("T")

_SPECIAL_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_plain(value: Any) -> Any:
    """Convert dataclasses, tuples, mappings and messages to JSON types."""
    if isinstance(value, Message) and value.code:
        return {"code": value.code, "arguments": to_plain(value.arguments), "text": str(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{type(value).__name__} has no plain form")


def from_plain(kind: type[T], data: Any) -> T:
    """Build a `kind` from plain data; raises InputError that names the field if something does not fit."""
    return typing.cast("T", _build(kind, data, kind.__name__))


def dumps(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON text, one line unless `indent` is given."""
    separators = (",", ":") if indent is None else None
    return json.dumps(to_plain(value), allow_nan=False, ensure_ascii=True, indent=indent, separators=separators)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _build(kind: Any, data: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(typing.cast("type", kind), data, where)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _build_union(args, data, where)
    if origin is typing.Literal:
        if data not in args:
            raise InputError(f"{where} is {data!r}; choose one of {', '.join(map(repr, args))}")
        return data
    if origin is tuple:
        return _build_tuple(args, data, where)
    if origin in (dict, Mapping):
        return {key: _build(args[1], item, f"{where}.{key}") for key, item in dict(data).items()}
    return _build_scalar(kind, data, where)


def _build_dataclass(kind: type, data: Any, where: str) -> Any:
    if isinstance(data, kind):
        return data
    if not isinstance(data, Mapping):
        raise InputError(f"{where} should be a mapping of settings, not {data!r}")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(set(data) - set(fields))
    if unknown:
        raise InputError(f"{where} has no setting {unknown[0]!r}; it has {', '.join(fields)}")
    values = {name: _build(_hints(kind)[name], data[name], f"{where}.{name}") for name in fields if name in data}
    try:
        return kind(**values)
    except TypeError as error:
        raise InputError(f"{where} is incomplete: {error}") from error


def _build_union(options: Sequence[Any], data: Any, where: str) -> Any:
    if data is None and type(None) in options:
        return None
    problems = []
    for option in options:
        if option is type(None):
            continue
        try:
            return _build(option, data, where)
        except InputError as error:
            problems.append(error)
    raise problems[0]


def _build_tuple(args: Sequence[Any], data: Any, where: str) -> Any:
    if isinstance(data, str) or not isinstance(data, Sequence):
        raise InputError(f"{where} should be a list, not {data!r}")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_build(args[0], item, f"{where}[{index}]") for index, item in enumerate(data))
    if len(args) != len(data):
        raise InputError(f"{where} should have {len(args)} entries, not {len(data)}")
    return tuple(_build(arg, item, f"{where}[{index}]") for index, (arg, item) in enumerate(zip(args, data, strict=True)))


def _build_scalar(kind: Any, data: Any, where: str) -> Any:
    if kind is Any:
        return data
    if kind is Message:
        return _build_message(data, where)
    if kind is float:
        if isinstance(data, str) and data in _SPECIAL_FLOATS:
            return _SPECIAL_FLOATS[data]
        if isinstance(data, (int, float)) and not isinstance(data, bool):
            return float(data)
    elif (kind is int and isinstance(data, bool)) or not isinstance(data, kind):
        pass
    else:
        return data
    raise InputError(f"{where} should be of type {kind.__name__}, not {data!r}")


def _build_message(data: Any, where: str) -> Message:
    message = Message.from_plain(data)
    if message is None:
        raise InputError(f"{where} should be text, or a code with arguments and text, not {data!r}")
    return message
