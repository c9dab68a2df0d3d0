"""Which column holds what: header names and their aliases, and whole columns to typed values."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from depot.imports.table import RowError, Table
from depot.imports.values import CellError
from depot.words import tr

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Column:
    """A column a format knows: its name, other names people give it, and whether every file needs it."""

    name: str
    aliases: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class Matched:
    """Where each known column stands (`index`), what the file calls it (`header`), and titles nobody knows."""

    index: Mapping[str, int]
    header: Mapping[str, str]
    errors: tuple[RowError, ...]
    unknown: tuple[str, ...] = ()


def match_columns(
    table: Table, columns: Sequence[Column], named: Mapping[str, str] = MappingProxyType({})
) -> Matched:
    """Find each known column of a table; missing, doubled and unknown ones are errors by name.

    `named` says what a person decided headers mean (plain title -> column name); "" leaves a column out.
    """
    known = {
        plain_title(alias): column.name for column in columns for alias in (column.name, *column.aliases)
    }
    known |= named
    unknown: list[str] = []
    index: dict[str, int] = {}
    errors: list[RowError] = []
    for position, title in enumerate(table.header.cells):
        name = known.get(plain_title(title))
        if name == "":
            continue
        problem = ""
        if not title:
            problem = tr("Column {position} has no name. Name it or delete it.", position=position + 1)
        elif name is None:
            unknown.append(title)
            problem = tr(
                "“{title}” is not a column of a schedule. {cure}",
                title=title,
                cure=_cure(title, known, columns),
            )
        elif name in index:
            first = table.header.cells[index[name]]
            problem = tr(
                "“{title}” and “{first}” both mean {name}. Delete one of the two columns.",
                title=title,
                first=first,
                name=name,
            )
        else:
            index[name] = position
        if problem:
            errors.append(RowError(table.sheet, table.header.number, title, title, problem))
    missing = [column.name for column in columns if column.required and column.name not in index]
    errors += [
        RowError(
            table.sheet,
            table.header.number,
            name,
            "",
            tr("The column {name} is missing. Add it, or start from the template.", name=name),
        )
        for name in missing
    ]
    header = {name: table.header.cells[position] for name, position in index.items()}
    return Matched(index, header, tuple(errors), tuple(unknown))


def parse_column(cells: Iterable[str], parse: Callable[[str], Value]) -> list[Value | CellError]:
    """Return each cell's value, or the CellError that `parse` raised; equal cells are parsed once."""
    seen: dict[str, Value | CellError] = {}
    values: list[Value | CellError] = []
    for cell in cells:
        if cell not in seen:
            try:
                seen[cell] = parse(cell)
            except CellError as problem:
                seen[cell] = problem
        values.append(seen[cell])
    return values


def plain_title(title: str) -> str:
    """Return a column's title without case, spaces and signs."""
    return re.sub(r"[^0-9a-z]+", "_", title.casefold()).strip("_")


def _cure(title: str, known: Mapping[str, str], columns: Sequence[Column]) -> str:
    close = difflib.get_close_matches(plain_title(title), known, n=1, cutoff=0.75)
    if close:
        return tr("Do you mean {known}?", known=known[close[0]])
    return tr("Delete it, or name it as one of {names}.", names=", ".join(column.name for column in columns))
