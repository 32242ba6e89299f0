"""Sentences that a worker writes: a code with arguments, so that they can be shown in any language, and the text in English.

A message is text like any other. It is stored with its code and arguments; where it is read again, it is rendered anew, and the
stored text stands in for a code that this version does not know.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from typing import Any, Self

from nbtransfer.core.sentences import SENTENCES
from nbtransfer.core.text.counts import byte_size, quantity, short_number
from nbtransfer.core.text.durations import duration

Argument = str | int | float | bool | None | list["Argument"]
"""Plain data, messages among them. Numbers stay numbers: bytes and seconds are put into words when they are rendered."""


class Message(str):
    """Text with the code and the arguments it was made of; the code is empty where the text is all there is."""

    __slots__ = ("arguments", "code")

    code: str
    arguments: dict[str, Any]

    def __new__(cls, text: str, code: str = "", arguments: Mapping[str, Any] | None = None) -> Self:
        made = super().__new__(cls, text)
        made.code, made.arguments = code, dict(arguments or {})
        return made

    @classmethod
    def from_plain(cls, data: Any) -> Message | None:
        """What `to_plain` of the codec made, or bare text; None where it is neither."""
        if isinstance(data, str):
            return data if isinstance(data, Message) else Message(data)
        if not isinstance(data, Mapping) or set(data) != {"code", "arguments", "text"}:
            return None
        code, arguments, text = data["code"], data["arguments"], data["text"]
        if not isinstance(code, str) or not isinstance(text, str) or not isinstance(arguments, Mapping):
            return None
        read = {str(name): _read(value) for name, value in arguments.items()}
        return Message(_rendered_or(text, code, read), code, read)


def message(code: str, **arguments: Any) -> Message:
    """The message of a code in `SENTENCES`; raises KeyError or ValueError when code and arguments do not fit."""
    return Message(render(SENTENCES[code], arguments), code, arguments)


def message_of(error: BaseException) -> Message:
    """The message that an error carries, else its text with the name of its class."""
    if error.args and isinstance(error.args[0], Message):
        return error.args[0]
    return message("error", kind=type(error).__name__, text=str(error))


def render(sentence: str, arguments: Mapping[str, Any]) -> str:
    """Put arguments into a sentence."""
    return _Words().vformat(sentence, (), arguments)


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return [_read(item) for item in value]
    found = Message.from_plain(value) if isinstance(value, Mapping) else None
    return value if found is None else found


def _rendered_or(text: str, code: str, arguments: Mapping[str, Any]) -> str:
    try:
        return render(SENTENCES[code], arguments)
    except (LookupError, ValueError, TypeError, AttributeError):  # of another version, or damaged
        return text


_FORMS: dict[str, Callable[[Any], str]] = {
    "bytes": byte_size,
    "duration": duration,
    "short": short_number,
    "list": lambda items: "; ".join(map(str, items)),
    "names": lambda items: ", ".join(map(str, items)),
}


class _Words(string.Formatter):
    """Formats numbers as usual, and `bytes`, `duration`, `short`, `list`, `names` and `count NOUN` in words."""

    def format_field(self, value: Any, format_spec: str) -> str:
        kind, _, noun = format_spec.partition(" ")
        if kind == "count":
            return quantity(value, noun)
        return _FORMS[kind](value) if kind in _FORMS else str(super().format_field(value, format_spec))
