"""What all our widgets share: their module for the browser, requests that are always answered, a sign of life."""

from __future__ import annotations

import re
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from html import escape
from importlib import resources
from typing import Any, ClassVar

import anywidget
import traitlets

from nbtransfer.errors import InputError, NbTransferError
from nbtransfer.ui import pump

BEAT_SECONDS = 2.0
_STATIC = resources.files(__package__) / "static"
_IMPORT, _EXPORT = re.compile(r"^import .*\n", re.MULTILINE), re.compile(r"^export (?!default)", re.MULTILINE)


def module(*names: str) -> str:
    """ES modules as one: a widget's code travels as a single text, in which nothing can be imported from beside it."""
    texts = ((_STATIC / f"{name}.js").read_text(encoding="utf-8") for name in names)
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in texts)


def style(name: str) -> str:
    """A style sheet that travels with the package."""
    return (_STATIC / f"{name}.css").read_text(encoding="utf-8")


class Panel(anywidget.AnyWidget):
    """A widget that answers requests and says that it is alive.

    The browser sends `{kind: "request", id, op, args}`. It gets `{kind: "taken", id}` at once, then always a
    `{kind: "reply", id, ok, value or error}`. Each request is carried out in a thread of its own: depending on its version
    a kernel would otherwise do it in the thread of the user's cells, and never at the same time as one of them.
    """

    _css: ClassVar[str] = style("nbtransfer")
    problem = traitlets.Unicode().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._views: set[str] = set()
        self._last_beat = 0.0
        self._ops: Mapping[str, Callable[..., Any]] = {}
        self.on_msg(self._receive)

    def tick(self) -> None:
        """Look for news; called a few times a second while somebody is looking."""

    def _receive(self, _widget: Any, message: Mapping[str, Any], _buffers: Any) -> None:
        kind = message.get("kind")
        if kind == "hello":
            self._views.add(str(message.get("view")))
            self.greet(message)
            pump.add(self, self._tick)
        elif kind == "bye":
            self._views.discard(str(message.get("view")))
            if not self._views:
                pump.remove(self)
        elif kind == "request":
            self.send({"kind": "taken", "id": message.get("id")})
            threading.Thread(target=self._answer, args=(message,), daemon=True).start()

    def greet(self, message: Mapping[str, Any]) -> None:
        """Tell a new view what it cannot know from the traits alone."""

    def _tick(self) -> None:
        if time.monotonic() - self._last_beat >= BEAT_SECONDS:
            self._last_beat = time.monotonic()
            self.send({"kind": "beat"})
        try:
            self.tick()
        except Exception as error:  # noqa: BLE001 - a broken widget must not take the others with it, nor be silent
            self.problem = _said(error)

    def _answer(self, message: Mapping[str, Any]) -> None:
        reply: dict[str, Any] = {"kind": "reply", "id": message.get("id")}
        try:
            value = self._carry_out(str(message.get("op")), message.get("args") or {})
            self.send({**reply, "ok": True, "value": value})
        except Exception as error:  # noqa: BLE001 - whatever it is, a browser is waiting
            self.send({**reply, "ok": False, "error": _said(error)})

    def _carry_out(self, op: str, args: Mapping[str, Any]) -> Any:
        if op not in self._ops:
            raise InputError(f"this view knows no {op!r}; reload the page")
        return self._ops[op](**args)

    def close(self) -> None:
        """Take it off every page and stop looking for news."""
        pump.remove(self)
        super().close()

    def as_html(self) -> str:
        """What stays where no widget can be any more: a reopened notebook."""
        return f"<pre>{escape(repr(self))}</pre>"

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_() or ({}, {})
        words = f"<p>{escape(repr(self))}</p><p>This is a live view; run its cell to open it.</p>"
        return {**data, "text/plain": repr(self), "text/html": words}, metadata


def _said(error: Exception) -> str:
    """One sentence for the page."""
    if isinstance(error, NbTransferError):
        return str(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({where.name}, line {where.lineno}); please report it"
