"""What a file looks like before anything is understood: sheets of text cells, and what is wrong where."""

from __future__ import annotations

from dataclasses import dataclass

from depot.words import tr


class FileError(ValueError):
    """A file that cannot be read as a whole; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class RowError:
    """One thing to repair (or to know), at its place in the file.

    `row` is the number a spreadsheet program shows beside it, None when the whole file is meant. `message`
    is a sentence with the value seen and the cure.
    """

    sheet: str
    row: int | None
    column: str
    value: str
    message: str

    @property
    def sentence(self) -> str:
        """Return the message with its place in front, for a log or a terminal."""
        place = [self.sheet] if self.sheet else []
        if self.row is not None:
            place.append(tr("row {row}", row=self.row))
        if self.column:
            place.append(tr("column {column}", column=self.column))
        return f"{', '.join(place)}: {self.message}" if place else self.message

    def as_json(self) -> dict[str, str | int | None]:
        """Return the five parts for reports."""
        return {
            "sheet": self.sheet,
            "row": self.row,
            "column": self.column,
            "value": self.value,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class Row:
    """A row of text cells, as many as the header has, and its number as the file counts."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A sheet: its header, its non-empty rows, and `facts` about how it was read (label, value).

    A reader of typed cells writes dates as YYYY-MM-DD, times as HH:MM and numbers with a point.
    """

    sheet: str
    header: Row
    rows: tuple[Row, ...]
    facts: tuple[tuple[str, str], ...] = ()

    def column(self, index: int) -> list[str]:
        """Return the cells of one column."""
        return [row.cells[index] for row in self.rows]
