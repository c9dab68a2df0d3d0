"""The depot's own schedule as a spreadsheet workbook: the columns of the canonical CSV on the first sheet."""

from __future__ import annotations

from depot.imports.workbook import read_workbook, write_workbook
from fleet.formats.blocks import Fleet, Reading
from fleet.formats.canonical import HEADER, read_table, template_rows

FORMAT = "xlsx"


def read(content: bytes, name: str, fleet: Fleet) -> Reading:
    """Read a workbook (.xlsx, .xls or .ods); every row is checked, and every problem gets a sentence.

    Raises FileError when the workbook cannot be opened.
    """
    table, misshapen = read_workbook(content, name)
    return read_table(table, misshapen, FORMAT, fleet)


def write_template(fleet: Fleet, depot_name: str) -> bytes:
    """Return an empty schedule as a workbook with one row for each vehicle in service, to be filled in."""
    return write_workbook("Schedule", HEADER, template_rows(fleet, depot_name))
