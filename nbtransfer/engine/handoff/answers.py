"""The answers of a model for images, as objects and as a table."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import short_list
from nbtransfer.core.text.tables import html_table, text_table
from nbtransfer.errors import InputError, MissingExtraError
from nbtransfer.store import atomic

if TYPE_CHECKING:
    import pandas as pd

MOST_SHOWN = 50
MOST_CLASSES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for one image: the likeliest class, and the probability of each class.

    `file` is the path as it was given, or "image 3", counted from 0. `truth` is the class of a sample. Neither takes part in
    comparisons. An image that cannot be used has no answer: `problem` says why, and the other fields are None and empty.
    """

    label: str | None
    probability: float | None
    probabilities: dict[str, float]
    file: str = field(default="", compare=False)
    truth: str | None = field(default=None, compare=False)
    problem: str | None = None

    def __repr__(self) -> str:
        if self.label is None or self.probability is None:
            return f"Answer(none for {self.file}: {self.problem})"
        return f"Answer({self.label!r}, {self.probability:.3f})"


class Answers(list[Answer]):
    """A list with one answer for each image, in their order. Prints as a table."""

    @property
    def problems(self) -> list[Answer]:
        """Those of images that cannot be used."""
        return [answer for answer in self if answer.problem is not None]

    def to_dicts(self) -> list[dict[str, Any]]:
        """One row for each image: file, truth, answer, probability, `p(CLASS)` for each class, and problem."""
        classes = self._classes()
        return [
            {
                "file": answer.file,
                "truth": answer.truth,
                "answer": answer.label,
                "probability": answer.probability,
                **{f"p({name})": answer.probabilities.get(name) for name in classes},
                "problem": answer.problem,
            }
            for answer in self
        ]

    def to_dataframe(self) -> pd.DataFrame:
        """The rows of `to_dicts` as a pandas DataFrame. Raises MissingExtraError without pandas."""
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtraError("to_dataframe()", "pandas") from error
        return pd.DataFrame(self.to_dicts())

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write the rows of `to_dicts` to a file, which is replaced if it exists; returns its path. Raises InputError."""
        text, rows = io.StringIO(newline=""), self.to_dicts()
        writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _printable(value) for name, value in row.items()} for row in rows)
        try:
            target = Path(path).expanduser()
            atomic.write_text(target, text.getvalue())
        except (OSError, ValueError, RuntimeError) as error:  # also null characters, and unknown users behind ~
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"the table cannot be written to {path} ({reason}); give a file in an existing folder") from error
        return target

    def table(self) -> str:
        """The answers as text."""
        return text_table(self._header(), self._rows(self))

    def _classes(self) -> list[str]:
        return next((list(answer.probabilities) for answer in self if answer.probabilities), [])

    def _header(self) -> list[str]:
        """Only the columns that say something; of many classes, the likeliest is enough."""
        classes = self._classes()
        truth = ["truth"] if any(answer.truth is not None for answer in self) else []
        shown = [f"p({name})" for name in classes] if len(classes) <= MOST_CLASSES_SHOWN else []
        return ["file", *truth, "answer", "probability", *shown, *(["problem"] if self.problems else [])]

    def _rows(self, answers: list[Answer]) -> Iterator[list[str]]:
        header = self._header()
        for row in Answers(answers).to_dicts():
            yield [_cell(row.get(name)) for name in header]

    def _rest(self) -> str:
        more = len(self) - MOST_SHOWN
        return f"and {quantity(more, 'other image')}; to_csv(path) writes all of them" if more > 0 else ""

    def __repr__(self) -> str:
        shown = text_table(self._header(), self._rows(self[:MOST_SHOWN])) if self else "no answers"
        return "\n".join(filter(None, (shown, self._rest())))

    def _repr_html_(self) -> str:
        rest = self._rest()
        return html_table(self._header(), self._rows(self[:MOST_SHOWN])) + (f"<p>{rest}</p>" if rest else "")


def require_any(answers: Answers) -> None:
    """Raise InputError unless there is an answer for at least one image."""
    if not answers:
        raise InputError("there is no image to predict; give at least one")
    problems = answers.problems
    if len(problems) == len(answers) == 1:
        raise InputError(f"{_printable(problems[0].file)} cannot be used: {problems[0].problem}")
    if len(problems) == len(answers):
        listed = short_list([f"{_printable(each.file)}: {each.problem}" for each in problems], most=2)
        raise InputError(f"none of {quantity(len(answers), 'image')} can be used: {listed}")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "–" if value is None else _printable(value)


def _printable(value: Any) -> Any:
    """Text in which bytes of a file name that are no Unicode are `?`; anything else as it is."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
