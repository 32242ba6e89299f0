"""How a live view ends: as a static report in its place. A saved notebook keeps no live widget."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

from IPython import display as ipython


class Live(Protocol):
    """A widget that shows a run; `run` is its trait."""

    run: dict[str, Any]

    def as_html(self) -> str: ...


class Ending:
    """The places where a widget is displayed. They turn into a report `after` seconds after run and last touch have ended."""

    def __init__(self, after: float | None) -> None:
        self._after = after
        self._since: float | None = None
        self._places: list[Any] = []

    def show(self, bundle: Mapping[str, Any]) -> None:
        """Display a bundle of forms in the present cell."""
        place = ipython.display(dict(bundle), raw=True, display_id=True)  # type: ignore[no-untyped-call]
        if place is not None:  # there is none outside of IPython
            self._places.append(place)

    def postpone(self) -> None:
        """Somebody is at it."""
        self._since = None

    def settle(self, panel: Live) -> None:
        """Put the report in the widget's place when it is time."""
        if self._after is None or not self._places or not panel.run.get("ended"):
            self._since = None
        elif self._since is None:
            self._since = time.monotonic()
        elif time.monotonic() - self._since >= self._after:
            bundle = {"text/plain": repr(panel), "text/html": panel.as_html()}
            for place in self._places:
                place.update(bundle, raw=True)
            self._places = []
