"""From the text of a module to its functions and classes."""

from __future__ import annotations

import functools
import linecache
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import ModuleType
from typing import Any

from nbtransfer.core.calls import checked
from nbtransfer.core.code import MARK, Code, check_defined, find, parts
from nbtransfer.core.recipe import Recipe
from nbtransfer.errors import CodeError
from nbtransfer.usercode import trusted

_written: dict[str, Code] = {}
"""Code written in this process, by name; the latest wins."""


@checked(CodeError)
def code(name: str, source: str) -> ModuleType:
    """Make a module that recipes can refer to as "NAME.function" or "NAME.Class", and return it for a first try.

    name    of the module; writing it again replaces it for later runs
    source  its text, including imports: it has no access to the notebook

    A run keeps the text in its folder, as `code/NAME.py`. Raises CodeError if it cannot be loaded.
    """
    made = Code(name, source)
    _ = made.defines
    trusted.trust([made])
    module = load(made)
    _written[name] = made
    return module


def find_code(reference: str) -> Code:
    """The code behind a reference such as "data.Pairs", as written in this process; raises CodeError."""
    found = find(parts(reference)[0], _written.values())
    check_defined(reference, found)
    return found


def remember(codes: Iterable[Code]) -> None:
    """Let recipes of this process refer to code of a run, unless the name is taken. Executes nothing."""
    for known in codes:
        _written.setdefault(known.name, known)


def with_code(recipe: Recipe) -> Recipe:
    """The recipe with the text of all code it refers to; raises CodeError if code is missing or has two versions."""
    given, own = {code.name: code for code in recipe.code}, recipe.task.code
    codes = {} if own is None else {own.name: given.get(own.name, own)}
    for reference in recipe.references:
        name, _ = parts(reference)
        found = find(name, [*codes.values(), *_written.values(), *given.values()])  # the last one wins
        check_defined(reference, codes.setdefault(name, found))
        if codes[name] != found:
            raise _version_error(name)
    if own is not None and codes[own.name] != own:
        raise _version_error(own.name)
    return replace(recipe, code=tuple(codes.values()))


def _version_error(name: str) -> CodeError:
    return CodeError(f"the task was made with another version of the code {name!r}; make the task again")


def attribute(reference: str, codes: Iterable[Code]) -> Callable[..., Any]:
    """The function or class of a reference. Runs the module; raises CodeError unless it is trusted."""
    name, wanted = parts(reference)
    found = find(name, codes)
    check_defined(reference, found)
    return getattr(load(found), wanted)  # type: ignore[no-any-return]


@functools.cache
def load(found: Code) -> ModuleType:
    """The module of a text, executed once per process; raises CodeError unless it is trusted and runs."""
    trusted.require([found])
    # Versions of a module may coexist: an earlier run has its own.
    module = ModuleType(f"{found.name}_{found.sha256[:8]}")
    module.__file__ = f"<transfer_code {found.name}>"
    setattr(module, MARK, found.name)
    linecache.cache[module.__file__] = (len(found.source), None, found.source.splitlines(keepends=True), module.__file__)
    sys.modules[module.__name__] = module
    try:
        exec(compile(found.source, module.__file__, "exec"), module.__dict__)  # noqa: S102 - trusted by its own user
    except Exception as error:
        del sys.modules[module.__name__]
        raise CodeError(f"the code {found.name!r} cannot be loaded: {_error_text(error, module.__file__)}") from error
    return module


def call(reference: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """The result of a custom function; any error inside becomes a CodeError that says where."""
    try:
        return function(*arguments, **named)
    except Exception as error:
        raise CodeError(f"{reference} failed: {_error_text(error, f'<transfer_code {parts(reference)[0]}>')}") from error


def _error_text(error: Exception, file: str) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    where = f" (line {lines[-1]})" if lines else ""
    hint = "; custom code has no access to the notebook, so import what it needs" if isinstance(error, NameError) else ""
    return f"{type(error).__name__}: {error}{where}{hint}"
