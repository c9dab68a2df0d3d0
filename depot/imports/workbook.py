"""Spreadsheet workbooks (.xlsx, .xls, .ods) to a table of text cells, and rows to a workbook."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from zipfile import BadZipFile, ZipFile

from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

from depot.imports.decode import refuse_large
from depot.imports.delimited import MAX_CELL, MAX_COLUMNS, MAX_ROWS
from depot.imports.table import FileError, Row, RowError, Table
from depot.words import tr

MAX_UNPACKED_BYTES = 120 * 1024 * 1024
MAX_RATIO = 150
SMALL_BYTES = 4 * 1024 * 1024
WRITTEN_ROWS = 3
"""How many times the allowed rows a sheet may have written, empty ones included, before it is unpacked."""
CHUNK_BYTES = 1024 * 1024
ROW_END = b"</row>"

Cell = str | float | int | bool | date | datetime | time | timedelta | None


def read_workbook(content: bytes, name: str, max_rows: int = MAX_ROWS) -> tuple[Table, tuple[RowError, ...]]:
    """Return the first visible sheet with content as a table, with rows that do not fit the header as errors.

    Dates become YYYY-MM-DD, times HH:MM (durations past 24 h too), numbers get a point. Raise FileError when the
    workbook cannot be opened, would unpack to too much, or has no such sheet.
    """
    _refuse_bombs(content, name)
    _refuse_endless_sheets(content, name, WRITTEN_ROWS * max_rows)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    except (CalamineError, ValueError, OSError) as error:
        raise FileError(
            tr(
                "{name} cannot be opened as a workbook ({error}). A password must be taken off; "
                "else save it again as .xlsx.",
                name=name,
                error=error,
            )
        ) from error
    with book:
        visible = [sheet.name for sheet in book.sheets_metadata if sheet.visible == SheetVisibleEnum.Visible]
        for sheet_name in visible:
            sheet = book.get_sheet_by_name(sheet_name)
            if sheet.height == 0:
                continue
            if sheet.height > max_rows + 1:
                raise FileError(
                    tr(
                        "{name}, {sheet_name}: has more than {max_rows:,} rows. Split it into several "
                        "files, for instance by month.",
                        name=name,
                        sheet_name=sheet_name,
                        max_rows=max_rows,
                    )
                )
            others = len(visible) - 1
            first_row = (sheet.start or (0, 0))[0] + 1
            return _table(sheet_name, first_row, sheet.iter_rows(), others)
    raise FileError(tr("{name} is empty. Download the template, fill it in and upload it.", name=name))


def write_workbook(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Return a workbook of one sheet in which every cell is text, so that none can act as a formula."""
    book = Workbook()
    sheet = book.active
    sheet.title = title[:31]
    sheet.append(list(header))
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for row in rows:
        sheet.append([""] * len(row))
        for column, text in enumerate(row, 1):
            cell = sheet.cell(sheet.max_row, column)
            cell.value, cell.data_type, cell.number_format = text, "s", "@"
    for column, text in enumerate(header, 1):
        sheet.column_dimensions[get_column_letter(column)].width = max(12, len(text) + 4)
    sheet.freeze_panes = "A2"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _refuse_bombs(content: bytes, name: str) -> None:
    """Look at a packed workbook's table of contents before anything is unpacked."""
    refuse_large(content, name)
    if not content.startswith(b"PK"):
        return
    try:
        members = ZipFile(io.BytesIO(content)).infolist()
    except (BadZipFile, ValueError, OSError) as error:
        raise FileError(
            tr("{name} is damaged ({error}). Save it again as .xlsx.", name=name, error=error)
        ) from error
    total = sum(info.file_size for info in members)
    tight = any(
        info.file_size > SMALL_BYTES and info.file_size > MAX_RATIO * max(info.compress_size, 1)
        for info in members
    )
    if total > MAX_UNPACKED_BYTES or tight:
        raise FileError(
            tr(
                "{name} would unpack to {mb:,.0f} MB. Copy the schedule into a new workbook and save it.",
                name=name,
                mb=total / 2**20,
            )
        )


def _refuse_endless_sheets(content: bytes, name: str, most: int) -> None:
    """Count the rows of an .xlsx as they are unpacked, and stop at the first too many: no sheet is parsed for that."""
    if not content.startswith(b"PK"):
        return
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                if member.startswith("xl/worksheets/") and _has_more_rows(archive, member, most):
                    raise FileError(
                        tr(
                            "{name} has a sheet of more than {most:,} rows. Copy the schedule into a new "
                            "workbook, and split it, for instance by month.",
                            name=name,
                            most=most,
                        )
                    )
    except (BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise FileError(
            tr(
                "{name} is damaged or locked ({error}). Save it again without a password.",
                name=name,
                error=error,
            )
        ) from error


def _has_more_rows(archive: ZipFile, member: str, most: int) -> bool:
    number, kept = 0, b""
    with archive.open(member) as file:
        while chunk := file.read(CHUNK_BYTES):
            text = kept + chunk
            number += text.count(ROW_END)
            if number > most:
                return True
            # An end tag may lie across two chunks; what is kept is too short to be counted twice.
            kept = text[-len(ROW_END) + 1 :]
    return False


def _table(
    sheet: str, first_row: int, cells: Iterable[Sequence[Cell]], others: int
) -> tuple[Table, tuple[RowError, ...]]:
    records = (Row(number, tuple(_text(cell) for cell in row)) for number, row in enumerate(cells, first_row))
    filled = (row for row in records if any(row.cells))
    header = next(filled, None)
    if header is None:
        raise FileError(tr("{sheet} is empty. Download the template, fill it in and upload it.", sheet=sheet))
    width = max(index for index, cell in enumerate(header.cells, 1) if cell)
    if width > MAX_COLUMNS:
        raise FileError(
            tr(
                "{sheet} has {width} columns; at most {max_columns} are read. Delete the others.",
                sheet=sheet,
                width=width,
                max_columns=MAX_COLUMNS,
            )
        )
    rows, errors = [], []
    for row in filled:
        problem = _problem(row, width, sheet)
        if problem:
            errors.append(problem)
        else:
            rows.append(Row(row.number, row.cells[:width]))
    facts = (
        ((tr("Sheet"), sheet), (tr("Sheets not read"), str(others))) if others else ((tr("Sheet"), sheet),)
    )
    return Table(sheet, Row(header.number, header.cells[:width]), tuple(rows), facts), tuple(errors)


def _problem(row: Row, width: int, sheet: str) -> RowError | None:
    extra = next((cell for cell in row.cells[width:] if cell), "")
    if extra:
        message = tr(
            "“{extra}” stands beyond the last column of the header. Delete it or name its column.",
            extra=extra[:40],
        )
        return RowError(sheet, row.number, "", extra[:40], message)
    long = next((cell for cell in row.cells if len(cell) > MAX_CELL), "")
    if long:
        message = tr(
            "The cell that begins with “{long}” has {count} characters; at most {max_cell} fit.",
            long=long[:40],
            count=len(long),
            max_cell=MAX_CELL,
        )
        return RowError(sheet, row.number, "", long[:40], message)
    return None


def _text(cell: Cell) -> str:
    if cell is None or cell == "":
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int | float):
        return str(int(cell)) if float(cell).is_integer() and abs(cell) < 1e15 else repr(float(cell))
    if isinstance(cell, datetime):
        return _moment(cell)
    if isinstance(cell, time):
        return f"{cell:%H:%M:%S}" if cell.second else f"{cell:%H:%M}"
    if isinstance(cell, timedelta):
        return _clock(round(cell.total_seconds()))
    if isinstance(cell, date):
        return cell.isoformat()
    return str(cell).strip()


def _moment(cell: datetime) -> str:
    """Return a date, or a time where the date is only the first day that spreadsheet programs count."""
    if cell.year < 1901:
        days = (cell.date() - date(1899, 12, 31)).days
        return _clock(max(days, 0) * 86400 + cell.hour * 3600 + cell.minute * 60 + cell.second)
    if (cell.hour, cell.minute, cell.second) == (0, 0, 0):
        return cell.date().isoformat()
    return cell.isoformat(sep=" ", timespec="minutes")


def _clock(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}" if seconds else f"{hours:02}:{minutes:02}"
