"""Schedules as workbooks: typed cells, templates, what is refused."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime, time, timedelta
from typing import Any

import openpyxl
import pytest

from fleet.formats import workbook
from fleet.formats.blocks import Fleet, KnownType, KnownVehicle, Reading
from fleet.formats.registry import read_schedule

FLEET = Fleet(frozenset({"maple"}), (KnownVehicle("Bus 01", "Bus 200"),), (KnownType("Bus 200", 200, 1.0),))
HEADER = [
    "block_id",
    "service_days",
    "depart_at",
    "return_at",
    "distance_km",
    "min_soc_departure",
    "valid_from",
]


def book(*rows: list[Any], header: list[str] = HEADER, title: str = "Week") -> bytes:
    made = openpyxl.Workbook()
    sheet = made.active
    sheet.title = title
    for row in ([*header], *rows):
        sheet.append(row)
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def read(content: bytes, name: str = "week.xlsx") -> Reading:
    return read_schedule(content, name, FLEET)


@pytest.mark.parametrize("leave", [time(6, 30), "06:30", "6:30 am", datetime(2026, 3, 9, 6, 30).time()])  # noqa: DTZ001
@pytest.mark.parametrize("back", [timedelta(hours=25, minutes=10), "01:10+1", "25:10"])
@pytest.mark.parametrize("day", [date(2026, 3, 9), datetime(2026, 3, 9), "2026-03-09"])  # noqa: DTZ001
def test_cells_of_every_type_are_read(leave: Any, back: Any, day: Any) -> None:
    found = read(book([101, "Mon-Fri", leave, back, 40.5, 0.8, day]))
    assert found.errors == ()
    (row,) = found.rows
    assert (row.block_id, row.depart_minute, row.return_minute) == ("101", 390, 1510)
    assert (row.distance_km, row.min_soc_departure, row.valid_from) == (40.5, 0.8, date(2026, 3, 9))
    assert found.file_format == "xlsx"


def test_the_template_is_read_as_unfilled() -> None:
    found = read(workbook.write_template(FLEET, "maple"))
    assert found.rows == ()
    assert "Row 2 has a vehicle but no block" in found.warnings[0].message


def test_errors_name_sheet_row_column_and_value() -> None:
    found = read(book([], ["1", "Mon-Fri", "06:00", "07:00", "far", None, None]))
    (error,) = found.errors
    assert (error.sheet, error.row, error.column, error.value) == ("Week", 3, "distance_km", "far")


def test_a_cell_beyond_the_header_is_an_error() -> None:
    (error,) = read(book([1, "daily", "06:00", "07:00", 5, None, None, "note"])).errors
    assert (error.row, error.value) == (2, "note")


def test_the_first_visible_sheet_with_content_is_read_and_others_are_counted() -> None:
    made = openpyxl.load_workbook(io.BytesIO(book([1, "daily", "06:00", "07:00", 5, None, None])))
    hidden = made.create_sheet("Old", 0)
    hidden.append(["secret"])
    hidden.sheet_state = "hidden"
    made.create_sheet("Notes").append(["x"])
    made.active = 1
    out = io.BytesIO()
    made.save(out)
    found = read(out.getvalue())
    assert len(found.rows) == 1
    assert ("Sheets not read", "1") in found.facts


BAD_BOOKS = {
    "damaged": (b"PK\x03\x04abc", "is damaged"),
    "old and damaged": (b"\xd0\xcf\x11\xe0abc", "cannot be opened"),
    "empty": (book(header=[]), "is empty"),
    "too many columns": (book(header=[f"c{number}" for number in range(61)]), "61 columns"),
}


@pytest.mark.parametrize("kind", BAD_BOOKS)
def test_bad_workbooks_are_refused_with_a_sentence(kind: str) -> None:
    content, words = BAD_BOOKS[kind]
    name = "week.xls" if content.startswith(b"\xd0") else "week.xlsx"
    assert words in read(content, name).errors[0].message


def test_a_workbook_that_would_fill_the_memory_is_not_unpacked() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", b"<Types/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 50_000_000)
    assert "would unpack to" in read(out.getvalue()).errors[0].message


def test_written_cells_are_text_and_never_formulas() -> None:
    fleet = Fleet(FLEET.depot_names, (KnownVehicle("=1+1", "Bus 200"),), FLEET.types)
    sheet = openpyxl.load_workbook(io.BytesIO(workbook.write_template(fleet, "maple"))).active
    cell = next(cell for cell in sheet[2] if cell.value == "=1+1")
    assert cell.data_type == "s"
