"""What all our widgets share: their code for the browser, requests that are always answered, a sign of life.

Docstrings here and in the controllers name the thread that may call a method:

    pump      the one thread that looks for news, see `pump`
    request   one thread for each request of the page
    kernel    the kernel's own: it runs the user's cells, and receives what the page sends
    any       all of these; where several may come at once, a lock is held
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping
from html import escape
from importlib import resources
from typing import Any, ClassVar, TypeAlias, TypeVar

import anywidget
import traitlets

from nbtransfer.core.text.names import suggest
from nbtransfer.errors import InputError, NbTransferError
from nbtransfer.ui import pump
from nbtransfer.ui.messages import FromPage, Request, ToPage

BEAT_SECONDS = 2.0
_STATIC = resources.files(__package__) / "static"

T = TypeVar("T")
Trait: TypeAlias = traitlets.TraitType[T, T]
"""A trait whose value has the type T."""


def bundle(name: str) -> str:
    """The code of a widget as a single text, with every module it imports: `make bundle` joins them."""
    return (_STATIC / "dist" / f"{name}.js").read_text(encoding="utf-8")


def style(name: str) -> str:
    """A style sheet that travels with the package."""
    return (_STATIC / f"{name}.css").read_text(encoding="utf-8")


def synced(trait: traitlets.TraitType[Any, Any]) -> Any:
    """A trait that the page sees too. Its annotation says what is in it, more exactly than traitlets can."""
    return trait.tag(sync=True)


class Panel(anywidget.AnyWidget):
    """A widget that answers requests and says that it is alive.

    A request gets an `Ack` at once, then always a reply. Each is carried out in a thread of its own: depending on its
    version a kernel would otherwise do it in the thread of the user's cells, and never at the same time as one of them.
    """

    _css: ClassVar[str] = style("nbtransfer")
    problem: Trait[str] = synced(traitlets.Unicode())

    def __init__(self, **traits: Any) -> None:
        unknown = [name for name in traits if not self.has_trait(name)]
        if unknown:
            raise InputError(f"{type(self).__name__} has no argument {unknown[0]!r}; {suggest(unknown[0], self.trait_names())}")
        super().__init__(**traits)
        self._views: set[str] = set()
        self._last_beat = 0.0
        self._operations: Mapping[str, Callable[..., Any]] = {}
        self.on_msg(lambda _widget, message, _buffers: self._receive(message))

    def tell(self, message: ToPage) -> None:
        """Send a message to all views. Thread: any."""
        self.send(message)

    def tick(self) -> None:
        """Look for news; called a few times a second while there is a view. Thread: pump."""

    def greet(self) -> None:
        """Tell a new view what it cannot know from the traits alone. Thread: kernel."""

    def _receive(self, message: FromPage) -> None:
        """Thread: kernel."""
        if message["kind"] == "hello":
            self._views.add(message["view"])
            self.greet()
            pump.add(self, self._tick)
        elif message["kind"] == "bye":
            self._views.discard(message["view"])
            if not self._views:
                pump.remove(self)
        elif message["kind"] == "request":
            self.tell({"kind": "ack", "id": message["id"]})
            threading.Thread(target=self._answer, args=(message,), daemon=True).start()

    def _tick(self) -> None:
        """Thread: pump."""
        if time.monotonic() - self._last_beat >= BEAT_SECONDS:
            self._last_beat = time.monotonic()
            self.tell({"kind": "beat"})
        try:
            self.tick()
        except Exception as error:  # noqa: BLE001 - a broken widget must not take the others with it, nor be silent
            self.problem = _sentence(error)

    def _answer(self, request: Request) -> None:
        """Thread: request."""
        try:
            value = self._carry_out(request["op"], request["args"])
            self.tell({"kind": "reply", "id": request["id"], "ok": True, "value": value})
        except Exception as error:  # noqa: BLE001 - whatever it is, a browser is waiting
            self.tell({"kind": "reply", "id": request["id"], "ok": False, "error": _sentence(error)})

    def _carry_out(self, op: str, args: Mapping[str, Any]) -> Any:
        """Thread: request."""
        if op not in self._operations:
            raise InputError(f"this widget has no operation {op!r}; reload the page")
        return self._operations[op](**args)

    def close(self) -> None:
        """Take it off every page and stop looking for news. Thread: any."""
        pump.remove(self)
        super().close()

    def as_html(self) -> str:
        """What stays where no widget can be any more: a reopened notebook. Thread: any."""
        return f"<pre>{escape(repr(self))}</pre>"

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_() or ({}, {})
        words = f"<p>{escape(repr(self))}</p><p>This was a live view; run its cell to see it again.</p>"
        return {**data, "text/plain": repr(self), "text/html": words}, metadata


def _sentence(error: Exception) -> str:
    """What went wrong, for the page."""
    if isinstance(error, NbTransferError):
        return str(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({where.name}, line {where.lineno}); please report it"
