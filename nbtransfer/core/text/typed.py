"""Numbers as people type them, in every form field and command."""

from __future__ import annotations

import re

from nbtransfer.errors import InputError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_COMMA = re.compile(r"(?P<whole>[+-]?\d*),(?P<rest>\d+)")


class AmbiguousNumberError(InputError):
    """A text that can mean two numbers."""


def number(text: str, name: str) -> int | float:
    """The number in a text; a decimal comma is one where it can be nothing else: `0,001`, `2,5`, but not `1,000`.

    Raises InputError that says what was meant by `name`.
    """
    found = text.strip().replace("\N{MINUS SIGN}", "-")
    if comma := _COMMA.fullmatch(found):
        whole, rest = comma["whole"], comma["rest"]
        if len(rest) == 3 and whole.lstrip("+-0"):
            meanings = f"{whole}{rest} or {whole}.{rest}"
            raise AmbiguousNumberError(f"{name} is {text.strip()!r}, which can mean {meanings}; write it without a comma")
        found = f"{whole}.{rest}"
    if not _NUMBER.fullmatch(found):
        raise InputError(f"{name} is {text.strip()!r}, not a number; enter one such as 10 or 0.001")
    value = float(found)
    return int(value) if value.is_integer() and "e" not in found.lower() and abs(value) < 2**53 else value
