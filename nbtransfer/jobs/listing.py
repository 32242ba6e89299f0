"""All runs of the home folder."""

from __future__ import annotations

from collections.abc import Iterator

from nbtransfer.core.calls import checked
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.tables import html_table, text_table
from nbtransfer.errors import NbTransferError
from nbtransfer.jobs.run import Run
from nbtransfer.store import runs
from nbtransfer.store.find_run import where_none_are
from nbtransfer.store.home import home
from nbtransfer.store.paths import RunPaths

MOST_SHOWN = 50


class RunList(tuple[Run, ...]):
    """Runs, newest first; prints the newest of them as a table."""

    __slots__ = ()
    _HEADER = ("run", "state", "task", "backbone", "strategy", "epochs", "val accuracy")

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for run in self[:MOST_SHOWN]:
            try:
                yield _row(run)
            except (NbTransferError, KeyError, TypeError, AttributeError):
                yield run.id, "unreadable", "–", "–", "–", "–", "–"

    @property
    def _rest(self) -> str:
        more = len(self) - MOST_SHOWN
        return f"and {quantity(more, 'older run')}; nt.attach(id) finds any of them" if more > 0 else ""

    def __repr__(self) -> str:
        return "\n".join(filter(None, (text_table(self._HEADER, self._rows()), self._rest))) if self else where_none_are()

    def _repr_html_(self) -> str:
        return html_table(self._HEADER, self._rows()) + (f"<p>{self._rest}</p>" if self._rest else "")


def _row(run: Run) -> tuple[object, ...]:
    state, plain = run.state, runs.read_spec(run.paths)["recipe"]
    strategy = plain["strategy"] if isinstance(plain["strategy"], str) else plain["strategy"]["name"]
    best = f"{state.best.val_accuracy:.3f}" if state.best else "–"
    done = f"{len(state.history)}/{state.epochs}" if state.epochs else "–"
    called = f"{run.id} {run.name}".rstrip()
    return called, state.status, plain["task"]["name"], plain["backbone"], strategy, done, best


@checked(name="runs")
def list_runs() -> RunList:
    """All runs under the home folder, newest first."""
    return RunList(Run(RunPaths(home() / "runs" / run_id)) for run_id in runs.list_ids())
