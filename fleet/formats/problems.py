"""What is wrong in a schedule of many tables, gathered while it is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from depot.imports import RowError

MAX_ERRORS = 1000


class ElsewhereRow(int):
    """The number of a row that stands in another file than its fellows: one that a supplement adds."""

    sheet: str

    def __new__(cls, number: int, sheet: str) -> ElsewhereRow:
        row = super().__new__(cls, number)
        row.sheet = sheet
        return row


def sheet_of(row: int | None, sheet: str) -> str:
    """Return the file a row stands in, where its fellows stand in `sheet`."""
    return row.sheet if isinstance(row, ElsewhereRow) else sheet


class Stop(Exception):  # noqa: N818 - ends a reading that has told enough
    """Too many problems to go on."""


@dataclass(slots=True)
class Problems:
    """What is wrong in a feed, and what is worth knowing, in the order found."""

    errors: list[RowError] = field(default_factory=list)
    warnings: list[RowError] = field(default_factory=list)

    def error(self, member: str, row: int | None, column: str, value: str, message: str) -> None:
        """Note an error; end the reading after a thousand."""
        self.errors.append(RowError(sheet_of(row, member), row, column, value[:80], message))
        if len(self.errors) >= MAX_ERRORS:
            raise Stop

    def warn(self, member: str, message: str, row: int | None = None) -> None:
        """Note what a person should know."""
        self.warnings.append(RowError(sheet_of(row, member), row, "", "", message))
