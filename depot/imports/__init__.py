"""The engine behind every upload: bytes -> text -> table -> typed columns + row errors -> difference.

It knows no schedule, no tariff and no database. A format hands it bytes or text, gets typed values and
sentences back, and the same functions serve the preview and the commit.
"""

from depot.imports.columns import Column, Matched, match_columns, parse_column, plain_title
from depot.imports.dates import DateStyle, date_style, parse_date
from depot.imports.decode import MAX_BYTES, Decoded, decode
from depot.imports.delimited import MAX_ROWS, escape_cell, read_delimited, write_delimited
from depot.imports.differences import Difference, difference
from depot.imports.table import FileError, Row, RowError, Table
from depot.imports.values import (
    CellError,
    DecimalMark,
    decimal_mark,
    parse_clock,
    parse_fraction,
    parse_number,
    parse_yes_no,
    percent_column,
)

__all__ = [
    "MAX_BYTES",
    "MAX_ROWS",
    "CellError",
    "Column",
    "DateStyle",
    "DecimalMark",
    "Decoded",
    "Difference",
    "FileError",
    "Matched",
    "Row",
    "RowError",
    "Table",
    "date_style",
    "decimal_mark",
    "decode",
    "difference",
    "escape_cell",
    "match_columns",
    "parse_clock",
    "parse_column",
    "parse_date",
    "parse_fraction",
    "parse_number",
    "parse_yes_no",
    "percent_column",
    "plain_title",
    "read_delimited",
    "write_delimited",
]
