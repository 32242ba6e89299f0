"""A freeze plan as a table: what becomes of each stage."""

from __future__ import annotations

from nbtransfer.core.text.tables import html_table, text_table

Row = tuple[str, str, str, str, str]


class PlanTable(tuple[Row, ...]):
    """One row for each stage; prints as a table."""

    __slots__ = ()
    HEADER = ("stage", "parameters that learn", "times the learning rate", "of them decay", "statistics updated")

    def __repr__(self) -> str:
        return text_table(self.HEADER, self)

    def _repr_html_(self) -> str:
        return html_table(self.HEADER, self)
