"""Text with delimiters to a table, and rows back to text that is safe to open in a spreadsheet program."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from depot.imports.decode import decode
from depot.imports.table import FileError, Row, RowError, Table
from depot.words import mark, tr

MAX_ROWS = 100_000
MAX_COLUMNS = 60
MAX_CELL = 500
DELIMITERS = {",": mark("comma"), ";": mark("semicolon"), "\t": mark("tab")}
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def read_delimited(content: bytes, name: str, max_rows: int = MAX_ROWS) -> tuple[Table, tuple[RowError, ...]]:
    """Return a CSV file as a table, with the rows that have more cells than the header as errors.

    Encoding and delimiter are recognised and told in the table's facts. Raise FileError when the file as a
    whole cannot be read: no text, no header, too many rows or columns, quotes that do not match.
    """
    decoded = decode(content, name)
    text = decoded.text.removeprefix("\ufeff")
    delimiter, skipped = _delimiter(text)
    if _has_more_lines(text, delimiter, skipped + 1 + max_rows):
        raise _too_many(name, max_rows)
    records = _records(text, delimiter, name)
    for _ in range(skipped):
        next(records)
    header = next((row for row in records if any(row.cells)), None)
    if header is None:
        raise FileError(
            tr("{name} has no header row. Download the template, fill it in and upload it.", name=name)
        )
    header = Row(header.number, _without_empty_end(header.cells))
    if len(header.cells) > MAX_COLUMNS:
        raise FileError(
            tr(
                "{name} has {count} columns; at most {max_columns} are read. Delete the others.",
                name=name,
                count=len(header.cells),
                max_columns=MAX_COLUMNS,
            )
        )
    rows, errors = _body(records, len(header.cells), name, max_rows)
    facts = ((tr("Encoding"), decoded.encoding), (tr("Delimiter"), tr(DELIMITERS[delimiter])))
    return Table(name, header, tuple(rows), facts), tuple(errors)


def write_delimited(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return CSV text (comma, CRLF) in which no cell can act as a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([escape_cell(cell) for cell in row] for row in rows)
    return out.getvalue()


def escape_cell(text: str) -> str:
    """Return a cell that no spreadsheet program takes for a formula; `read_delimited` takes the mark off."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _plain(text: str) -> str:
    text = text.strip()
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA_STARTS) else text


def _delimiter(text: str) -> tuple[str, int]:
    """Return the delimiter and how many leading records only name it (Excel's “sep=;”)."""
    first = re.split(r"[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]
    named = first.strip('" ').lower()
    if named.startswith("sep=") and named[4:] in DELIMITERS:
        return named[4:], 1 + text.split("sep", 1)[0].count("\n")
    outside_quotes = "".join(first.split('"')[::2])
    return max(DELIMITERS, key=outside_quotes.count), 0


def _has_more_lines(text: str, delimiter: str, most: int) -> bool:
    """Tell fast whether a text without quotes, in which each line is a record, has more than `most` filled ones."""
    if '"' in text:
        return False
    filled = (line for line in io.StringIO(text, newline=None) if line.replace(delimiter, "").strip())
    return next(islice(filled, most, None), None) is not None


def _too_many(name: str, max_rows: int) -> FileError:
    return FileError(
        tr(
            "{name} has more than {max_rows:,} rows. Split it into several files, for instance by month.",
            name=name,
            max_rows=max_rows,
        )
    )


def _records(text: str, delimiter: str, name: str) -> Iterator[Row]:
    """Yield all records with their numbers, blank ones included, as a spreadsheet program counts them."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    while True:
        number += 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise FileError(
                tr(
                    "{name}, row {number}: the quotes or the length of a cell are wrong ({error}). "
                    "Close every quote, and write a quote inside a cell twice.",
                    name=name,
                    number=number,
                    error=error,
                )
            ) from error
        yield Row(number, tuple(map(_plain, record)))


def _body(records: Iterator[Row], width: int, name: str, max_rows: int) -> tuple[list[Row], list[RowError]]:
    rows: list[Row] = []
    errors: list[RowError] = []
    for row in records:
        if not any(row.cells):
            continue
        if len(rows) + len(errors) >= max_rows:
            raise _too_many(name, max_rows)
        error = _misshapen(row, width, name)
        if error:
            errors.append(error)
        else:
            rows.append(Row(row.number, row.cells[:width] + ("",) * (width - len(row.cells))))
    return rows, errors


def _misshapen(row: Row, width: int, name: str) -> RowError | None:
    extra = next((cell for cell in row.cells[width:] if cell), "")
    if extra:
        message = tr(
            "“{extra}” stands beyond the last column: the row has {count} cells, the header "
            "{width}. Put quotes around cells that contain the delimiter.",
            extra=extra[:40],
            count=len(row.cells),
            width=width,
        )
        return RowError(name, row.number, "", extra[:40], message)
    long = next((cell for cell in row.cells if len(cell) > MAX_CELL), "")
    if long:
        message = tr(
            "The cell that begins with “{long}” has {count} characters; at most {max_cell} "
            "fit. Shorten it, and close every quote.",
            long=long[:40],
            count=len(long),
            max_cell=MAX_CELL,
        )
        return RowError(name, row.number, "", long[:40], message)
    return None


def _without_empty_end(cells: tuple[str, ...]) -> tuple[str, ...]:
    width = max(index for index, cell in enumerate(cells, 1) if cell)
    return cells[:width]
