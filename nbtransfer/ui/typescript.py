"""The types of `traits` and `messages` for the page: `python -m nbtransfer.ui.typescript` writes static/messages.d.ts."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from nbtransfer.ui import messages, traits

TARGET = Path(__file__).parent / "static" / "messages.d.ts"
HEADER = "// Generated from nbtransfer/ui/{traits,messages}.py by `python -m nbtransfer.ui.typescript`; do not edit.\n"
ATOMS = {str: "string", int: "number", float: "number", bool: "boolean", None: "null", type(None): "null", Any: "any"}
TYPES = {**vars(traits), **vars(messages)}
ALIASES = {value: name for name, value in TYPES.items() if get_origin(value) in {tuple, types.UnionType}}
"""An alias has no name of its own in Python; the page gets back the one it was defined under."""


def declarations() -> str:
    """All types, in the order of their definition."""
    return "\n".join([HEADER, *_declarations()])


def _declarations() -> Iterator[str]:
    for value in TYPES.values():
        if is_typeddict(value):
            yield _interface(value)
        elif get_origin(value) in {tuple, types.UnionType}:
            yield f"export type {ALIASES[value]} = {_written_out(value)};\n"


def _interface(kind: Any) -> str:
    hints = get_type_hints(kind, include_extras=True)
    fields = "".join(_field(name, hint) for name, hint in hints.items())
    return f"/** {kind.__doc__} */\nexport interface {kind.__name__} {{\n{fields}}}\n"


def _field(name: str, hint: Any) -> str:
    if get_origin(hint) is NotRequired:
        return f"  {name}?: {_type(*get_args(hint))};\n"
    return f"  {name}: {_type(hint)};\n"


def _type(hint: Any) -> str:
    return ALIASES.get(hint) or _written_out(hint)


def _written_out(hint: Any) -> str:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " | ".join(map(_literal, args))
    if origin in {Union, types.UnionType}:
        return " | ".join(map(_type, args))
    if origin is tuple:
        return f"[{', '.join(map(_type, args))}]"
    if origin is list:
        return f"Array<{_type(*args)}>"
    if origin is dict:
        return f"Record<{_type(args[0])}, {_type(args[1])}>"
    return hint.__name__ if is_typeddict(hint) else ATOMS[hint]


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def main() -> None:
    """Write the file anew."""
    TARGET.write_text(declarations(), encoding="utf-8")
    sys.stdout.write(f"wrote {TARGET}\n")


if __name__ == "__main__":
    main()
