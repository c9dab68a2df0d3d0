"""The table behind every chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from numbers import Real
from typing import Any

from django.utils.safestring import SafeString, mark_safe

from depot.words import figures

MISSING = "–"


@dataclass(frozen=True, slots=True)
class Table:
    """Headers (with their units), rows of finished text, and which columns hold numbers."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    number_columns: frozenset[int]

    @property
    def body(self) -> SafeString:
        """Return the rows as HTML: a template would take longer for them than for the rest of the page."""
        kinds = [
            ' class="number"' if column in self.number_columns else "" for column in range(len(self.headers))
        ]
        rows = ("".join(map(_cell, row, kinds)) for row in self.rows)
        return mark_safe("".join(f"<tr>{row}</tr>\n" for row in rows))  # noqa: S308 - every cell is escaped


def table_of(headers: Sequence[str], rows: Sequence[Sequence[Any]], decimals: int = 1) -> Table:
    """Make a table: numbers get thousands separators and `decimals` places, None becomes a dash.

    Raise ValueError when a row has not one cell a header.
    """
    for index, row in enumerate(rows):
        if len(row) != len(headers):
            raise ValueError(f"Row {index} has {len(row)} cells for {len(headers)} headers.")
    numeric = frozenset(
        column
        for column in range(len(headers))
        if rows and all(row[column] is None or _is_number(row[column]) for row in rows)
    )
    return Table(tuple(headers), tuple(tuple(_text(cell, decimals) for cell in row) for row in rows), numeric)


def _cell(text: str, kind: str) -> str:
    return f"<td{kind}>{escape(text)}</td>"


def _is_number(cell: Any) -> bool:
    return isinstance(cell, Real | Decimal) and not isinstance(cell, bool)


def _text(cell: Any, decimals: int) -> str:
    if cell is None:
        return MISSING
    if not _is_number(cell):
        return str(cell)
    return figures(f"{cell:,.{0 if isinstance(cell, int) else decimals}f}").replace("-", "−")
