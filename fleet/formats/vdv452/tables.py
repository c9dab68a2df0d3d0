"""VDV 451 text: any number of tables, each with a name, its columns and its records.

A line begins with its kind: chs (character set), tbl (name), atr (columns), rec (a record), and others that say
nothing about the content. Cells are divided by semicolons; texts stand in double quotes.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from depot.imports import FileError
from depot.imports.archive import Archive
from depot.words import tr

CHARACTER_SET = re.compile(rb'^chs;\s*"?([\w-]+)"?', re.MULTILINE | re.IGNORECASE)
NULL = "NULL"


@dataclass(slots=True)
class VdvTable:
    """A table: the file it stands in, its columns, and its records with their line numbers."""

    sheet: str
    columns: dict[str, int] = field(default_factory=dict)
    rows: list[tuple[int, list[str]]] = field(default_factory=list)

    def records(self, *names: str) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield the line and the cells of some columns; "" for a column that is absent and for NULL."""
        places = [self.columns.get(name, -1) for name in names]
        for line, cells in self.rows:
            found = (cells[place] if 0 <= place < len(cells) else "" for place in places)
            yield line, tuple("" if cell == NULL else cell for cell in found)


def read_tables(content: bytes, name: str) -> Mapping[str, VdvTable]:
    """Return the tables of a ZIP archive or a single file by their upper-case names.

    Raises FileError when the archive or the text cannot be read.
    """
    tables: dict[str, VdvTable] = {}
    if not content.startswith(b"PK"):
        _add(tables, name, content)
        return tables
    archive = Archive(content, name)
    for member in archive.members:
        if member.lower().endswith(".x10"):
            _add(tables, member, archive.content(member))
    return tables


def _add(tables: dict[str, VdvTable], sheet: str, content: bytes) -> None:
    table = VdvTable(sheet)
    text = _text(content, sheet)
    try:
        for line, cells in enumerate(_lines(text), 1):
            kind = cells[0].strip().lower() if cells else ""
            values = [cell.strip() for cell in cells[1:]]
            if kind == "tbl" and values:
                table = tables[values[0].upper()] = VdvTable(sheet)
            elif kind == "atr":
                table.columns = {column.upper(): place for place, column in enumerate(values)}
            elif kind == "rec":
                table.rows.append((line, values))
    except csv.Error as error:
        raise FileError(tr("{sheet}: {error}. Export it again.", sheet=sheet, error=error)) from error


def _lines(text: str) -> Iterator[list[str]]:
    return csv.reader(text.splitlines(), delimiter=";", skipinitialspace=True)


def _text(content: bytes, sheet: str) -> str:
    named = CHARACTER_SET.search(content[:4096])
    encoding = named[1].decode("ascii").upper() if named else "ISO8859-1"
    try:
        return content.decode(encoding if encoding != "ISO8859-1" else "latin-1")
    except (LookupError, UnicodeDecodeError) as error:
        raise FileError(
            tr("{sheet}: says it is {encoding} and is not. Export it again.", sheet=sheet, encoding=encoding)
        ) from error
