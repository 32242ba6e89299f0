"""Custom code that a recipe refers to: modules as plain text, stored with a run and never evaluated here."""

from __future__ import annotations

import ast
import hashlib
import keyword
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from nbtransfer.core.text.names import suggest
from nbtransfer.errors import CodeError

MOST_BYTES = 2**20
MARK = "__transfer_code__"
"""Attribute that holds the name of a module made from custom code."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")


@dataclass(frozen=True)
class Code:
    """One module: its name, its text, and the expected sha256 of the text."""

    name: str
    source: str = field(repr=False)
    sha256: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name) or keyword.iskeyword(self.name):
            raise CodeError(f"{self.name!r} is not a valid module name; use letters, digits and _, such as augment")
        if not isinstance(self.sha256, str):
            raise CodeError(f"the sha256 of the code {self.name!r} should be text, not {self.sha256!r}")
        if not self.sha256:
            object.__setattr__(self, "sha256", digest(self.source))

    @property
    def unaltered(self) -> bool:
        """Whether the text is as it was written."""
        return digest(self.source) == self.sha256

    @cached_property
    def defines(self) -> tuple[str, ...]:
        """Functions and classes at its top level, in order; raises CodeError if it is not valid Python, or too large."""
        if len(self.source.encode("utf-8", "replace")) > MOST_BYTES:
            raise CodeError(f"the code {self.name!r} is larger than 1 MiB; keep data in files that the code reads")
        try:
            found = ast.parse(self.source).body
        except (SyntaxError, ValueError, RecursionError) as error:
            raise CodeError(f"the code {self.name!r} is not valid Python: {error}") from error
        return tuple(node.name for node in found if isinstance(node, (ast.FunctionDef, ast.ClassDef)))


def digest(source: str) -> str:
    """The sha256 of a text, as hexadecimal text."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()


def parts(reference: str) -> tuple[str, str]:
    """Module and attribute of a reference such as "augment.noisy"; raises CodeError."""
    module, dot, attribute = reference.partition(".")
    if not (dot and _NAME.fullmatch(module) and attribute.isidentifier()):
        raise CodeError(f"{reference!r} is not a reference to custom code; write module and function, such as 'augment.noisy'")
    return module, attribute


def reference(what: str, value: object) -> str:
    """How a recipe refers to a function or class; raises CodeError if only this notebook can see it."""
    if isinstance(value, str):
        parts(value)
        return value
    name = getattr(value, "__qualname__", None)
    if not callable(value) or name is None:
        raise CodeError(f"{what} is {value!r}; use the name of a function or class in custom code, such as 'augment.noisy'")
    module = sys.modules.get(getattr(value, "__module__", ""))
    written = getattr(module, MARK, None)
    if written is not None and "." not in name:
        return f"{written}.{name}"
    raise CodeError(
        f"{what} is {name}, which a background run cannot see; write it in a cell that begins with `%%transfer_code mine`, "
        f"including its imports, then use {what}='mine.{name.rpartition('.')[2].strip('<>')}'"
    )


def find(module: str, codes: Iterable[Code]) -> Code:
    """The code of a module; raises CodeError if there is none of that name."""
    known = {code.name: code for code in codes}
    if module in known:
        return known[module]
    hint = f"{suggest(module, known)} or " if known else ""
    raise CodeError(f"there is no code {module!r} here; {hint}write it in a cell that begins with `%%transfer_code {module}`")


def check_defined(reference: str, code: Code) -> None:
    """Raise CodeError if the module has no function or class of that name at its top level."""
    _, attribute = parts(reference)
    if attribute not in code.defines:
        hint = suggest(attribute, code.defines) if code.defines else "it defines nothing"
        raise CodeError(f"the code {code.name!r} has no function or class {attribute!r}; {hint}")
