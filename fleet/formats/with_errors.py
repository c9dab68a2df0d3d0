"""A delimited file back with what is wrong written beside each row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from depot.imports import RowError, read_delimited, write_delimited
from depot.imports.workbook import read_workbook
from fleet.formats import workbook

COLUMN = "error"


def with_errors(content: bytes, name: str, file_format: str, errors: Iterable[RowError]) -> str:
    """Return the rows of a CSV or workbook as CSV text with a last column that says what to mend.

    Raises FileError when the file cannot be read as a table.
    """
    read = read_workbook if file_format == workbook.FORMAT else read_delimited
    table, _ = read(content, name)
    sentences: dict[int | None, list[str]] = defaultdict(list)
    for error in errors:
        sentences[error.row].append(f"{error.column}: {error.message}" if error.column else error.message)
    rows = [(*row.cells, " ".join(sentences.get(row.number, ()))) for row in table.rows]
    return write_delimited((*table.header.cells, COLUMN), rows)
