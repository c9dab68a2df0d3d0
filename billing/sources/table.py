"""Prices from a CSV file or a workbook, in the shapes in which exchanges and operators publish them.

What is recognised: any delimiter and encoding; decimal comma; a start column (with an optional end), a range
"00:00 - 00:15", or a date beside an hour, a range or a position; an hour that the autumn change repeats, as a
second row or as "3B"; marks for a missing value; hours and quarter-hours, also in one file.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from billing.sources.moments import Reader, clock_of
from billing.sources.points import FACTORS, LENGTHS, UNIT_WORDS, Point
from depot.imports import (
    CellError,
    FileError,
    Row,
    RowError,
    Table,
    decimal_mark,
    parse_number,
    plain_title,
    read_delimited,
)
from depot.imports.workbook import read_workbook
from depot.timegrid import local_day_bounds
from depot.words import listed, tr, trn

STARTS = frozenset({
    "start", "start_at", "start_time", "starttime", "begin", "from", "von", "datum_von", "delivery_start",
    "interval_start", "period_start", "mtu", "time_interval", "time", "timestamp", "datetime", "date_time",
    "utc_timestamp", "zeit", "zeitstempel", "zeitraum", "intervall",
})  # fmt: skip
ENDS = frozenset({
    "end", "end_at", "end_time", "endtime", "to", "bis", "datum_bis", "delivery_end", "interval_end", "period_end",
})  # fmt: skip
DATES = frozenset(
    {"date", "datum", "delivery_date", "delivery_day", "day", "dato", "data", "tag", "trading_date"}
)
CLOCKS = frozenset({"hour", "hours", "stunde", "time", "uhrzeit", "period", "quarter", "position"})
MISSING = frozenset({"", "-", "–", "—", "n/a", "na", "n/e", "nan", "null", "none", "#n/a", "."})
BRACKETS = re.compile(r"[(\[]([^)\]]*)[)\]]")
CENTRAL_EUROPE = ZoneInfo("Europe/Brussels")
MOST_GAPS = 5


@dataclass(frozen=True, slots=True)
class Reading:
    """A file as points with what was found: `columns` are all price columns, `facts` label and value.

    With `errors` there are no points. `warnings` name what is missing, which is not stored.
    """

    points: tuple[Point, ...] = ()
    columns: tuple[str, ...] = ()
    column: str = ""
    unit: str = ""
    errors: tuple[RowError, ...] = ()
    warnings: tuple[RowError, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the moments stand (start, or date and clock) and which columns may be prices."""

    start: int | None
    date: int | None
    clock: int | None
    prices: tuple[int, ...] = field(default=())


def read_prices(content: bytes, name: str, tz: ZoneInfo, column: str = "", unit: str = "") -> Reading:
    """Read one price column of a file; times without a zone are those of `tz` unless their title names one.

    `column` (its title or the beginning of it) chooses among several; `unit` (a key of `FACTORS`) is needed
    where no title names one. Every fault is an error at its row; then no point is returned.
    """
    try:
        read = read_workbook if content.startswith((b"PK", b"\xd0\xcf\x11\xe0")) else read_delimited
        table, misshapen = read(content, name)
        where = _columns(table)
    except FileError as problem:
        return Reading(errors=(RowError(name, None, "", "", str(problem)),))
    titles = tuple(table.header.cells[index] for index in where.prices)
    chosen, unclear = _chosen(titles, column, name)
    if unclear:
        return Reading(columns=titles, errors=(RowError(table.sheet, table.header.number, "", "", unclear),))
    title = titles[chosen]
    unit = unit or unit_of(title)
    if unit not in FACTORS:
        known = ", ".join(FACTORS)
        message = tr(
            "“{title}” does not say its unit. Name it, like Price (EUR/MWh), or choose one of {known}.",
            title=title,
            known=known,
        )
        error = RowError(table.sheet, table.header.number, title, "", message)
        return Reading(columns=titles, column=title, errors=(error,))
    values, missing, errors = _values(table, where.prices[chosen], FACTORS[unit])
    moments, more = _moments(table, where, tz, {row.number for row in missing})
    errors = [*misshapen, *errors, *more]
    if errors:
        return Reading((), titles, title, unit, tuple(sorted(errors, key=lambda error: error.row or 0)))
    points, warnings = _points(table, moments, values, tz)
    if missing:
        first = missing[0]
        text = trn(
            "{count} row has no value (row {number}); not stored.",
            "{count} rows have no value (the first is row {number}); not stored.",
            len(missing),
            number=first.number,
        )
        warnings.insert(0, RowError(table.sheet, first.number, title, "", text))
    facts = (*table.facts, (tr("Column"), title), (tr("Unit"), tr(UNIT_WORDS[unit])), *_facts(points))
    return Reading(tuple(points), titles, title, unit, (), tuple(warnings), facts)


def unit_of(title: str) -> str:
    """Return the unit that a column's title names, as a key of `FACTORS`; empty when it names none."""
    text = re.sub(r"\s*(/| per )\s*", "/", title.casefold().replace("₂", "2"))
    per = "mwh" if "/mwh" in text else "kwh" if "/kwh" in text else ""
    mass = re.search(r"(?<![a-z])(kg|g|t)\s*(co2(eq|e)?)?/", text)
    if per and mass:
        unit = f"{mass[1]}/{per}"
        return unit if unit in FACTORS else ""
    if per == "kwh" and re.search(r"(?<![a-z])(ct|cent|cents|öre|øre|¢)/", text):
        return "ct/kwh"
    return per


def _columns(table: Table) -> _Columns:
    """Find the moments and the price columns; raise FileError when either is missing."""
    plain = [plain_title(BRACKETS.sub("", title)) for title in table.header.cells]
    found: dict[str, int] = {}
    for kind, names in (("date", DATES), ("clock", CLOCKS), ("start", STARTS), ("end", ENDS)):
        index = next(
            (at for at, title in enumerate(plain) if title in names and at not in found.values()), None
        )
        if index is not None and (kind != "clock" or "date" in found):
            found[kind] = index
    rest = [at for at in range(len(plain)) if at not in found.values()]
    named = [at for at in rest if unit_of(table.header.cells[at])]
    prices = named or [at for at in rest if _numeric(table.column(at))]
    if "start" not in found and "date" not in found:
        raise FileError(
            tr(
                "{sheet} has no column of times. Name one “start” (2026-03-29 01:00), or two “date” and "
                "“hour”.",
                sheet=table.sheet,
            )
        )
    if not prices:
        raise FileError(
            tr(
                "{sheet} has no column of prices. Name one with its unit, like “Price (EUR/MWh)”.",
                sheet=table.sheet,
            )
        )
    if "clock" in found:
        found.pop("start", None)
    start = found.get("start", found.get("date") if "clock" not in found else None)
    return _Columns(start, found.get("date"), found.get("clock"), tuple(prices))


def _numeric(cells: Sequence[str]) -> bool:
    held = [cell for cell in cells[:200] if cell.casefold() not in MISSING]
    return bool(held) and all(re.fullmatch(r"[-+]?[\d.,' ]+", cell) for cell in held)


def _chosen(titles: Sequence[str], column: str, name: str) -> tuple[int, str]:
    """Return the price column meant, or why that cannot be told."""
    if not column:
        if len(titles) == 1:
            return 0, ""
        return 0, tr(
            "{name} has several price columns. Choose one of: {titles}.", name=name, titles="; ".join(titles)
        )
    wanted = column.casefold()
    exact = [at for at, title in enumerate(titles) if title.casefold() == wanted]
    begins = exact or [at for at, title in enumerate(titles) if title.casefold().startswith(wanted)]
    if len(begins) == 1:
        return begins[0], ""
    return 0, tr(
        "“{column}” is not one price column of {name}. Choose one of: {titles}.",
        column=column,
        name=name,
        titles="; ".join(titles),
    )


def _values(
    table: Table, index: int, factor: Decimal
) -> tuple[dict[int, Decimal], list[Row], list[RowError]]:
    """Return the value of each row by its number, the rows that have none, and what is no number."""
    title = table.header.cells[index]
    cells = [row.cells[index] for row in table.rows if row.cells[index].casefold() not in MISSING]
    mark = decimal_mark(cells)
    values: dict[int, Decimal] = {}
    missing, errors = [], []
    for row in table.rows:
        cell = row.cells[index]
        if cell.casefold() in MISSING:
            missing.append(row)
            continue
        try:
            number = Decimal(repr(parse_number(cell.replace("−", "-"), mark)))
        except CellError as problem:
            errors.append(RowError(table.sheet, row.number, title, cell, str(problem)))
            continue
        values[row.number] = (number * factor).normalize()
        if abs(values[row.number]) > 100:
            text = tr(
                "“{cell}” would be {values:f} per kWh. Check the unit.", cell=cell, values=values[row.number]
            )
            errors.append(RowError(table.sheet, row.number, title, cell, text))
    return values, missing, errors


def _moments(
    table: Table, where: _Columns, tz: ZoneInfo, without: set[int]
) -> tuple[dict[int, datetime], list[RowError]]:
    """Return the UTC start of each row by its number; rows without a value may have a time that never was."""
    if where.start is not None:
        return _of_starts(table, where.start, tz, without)
    return _of_positions(table, where, tz, without)


def _of_starts(
    table: Table, index: int, tz: ZoneInfo, without: set[int]
) -> tuple[dict[int, datetime], list[RowError]]:
    title = table.header.cells[index]
    reader = Reader(_zone_of(title, tz), [row.cells[index] for row in table.rows])
    found, errors = {}, []
    for row in table.rows:
        try:
            found[row.number] = reader.moment(row.cells[index])
        except CellError as problem:
            if row.number not in without:
                errors.append(RowError(table.sheet, row.number, title, row.cells[index], str(problem)))
    return found, errors


def _of_positions(
    table: Table, where: _Columns, tz: ZoneInfo, without: set[int]
) -> tuple[dict[int, datetime], list[RowError]]:
    """Read days whose rows are hours, ranges or positions; positions count from the local midnight."""
    assert where.date is not None and where.clock is not None  # noqa: S101 – decided by _columns
    title = table.header.cells[where.clock]
    zone = _zone_of(title, _zone_of(table.header.cells[where.date], tz))
    reader = Reader(zone, [row.cells[where.date] for row in table.rows])
    days: dict[date, list[Row]] = defaultdict(list)
    errors: list[RowError] = []
    for row in table.rows:
        try:
            days[reader.day(row.cells[where.date])].append(row)
        except CellError as problem:
            cell = row.cells[where.date]
            errors.append(
                RowError(table.sheet, row.number, table.header.cells[where.date], cell, str(problem))
            )
    plain = all(row.cells[where.clock].isdigit() for row in table.rows)
    from_one = not any(row.cells[where.clock] in ("0", "00") for row in table.rows)
    found: dict[int, datetime] = {}
    for day, rows in days.items():
        begin, end = local_day_bounds(day, zone)
        step = (end - begin) / len(rows)
        counted = plain and [int(row.cells[where.clock]) for row in rows] == list(range(1, len(rows) + 1))
        for position, row in enumerate(rows):
            cell = row.cells[where.clock]
            try:
                if counted and step in _steps():
                    found[row.number] = begin + position * step
                else:
                    minutes, repeated = clock_of(cell, from_one)
                    found[row.number] = reader.local(day, minutes, repeated, cell)
            except CellError as problem:
                if row.number not in without:
                    errors.append(RowError(table.sheet, row.number, title, cell, str(problem)))
    return found, errors


def _steps() -> tuple[timedelta, ...]:
    return tuple(timedelta(minutes=length) for length in LENGTHS)


def _zone_of(title: str, tz: ZoneInfo) -> ZoneInfo:
    """Return the zone that a title names in brackets, else `tz`."""
    named = " ".join(BRACKETS.findall(title)).upper()
    if "UTC" in named or "GMT" in named or title.casefold().startswith("utc"):
        return ZoneInfo("UTC")
    return CENTRAL_EUROPE if "CET" in named or "MEZ" in named else tz


def _points(
    table: Table, moments: dict[int, datetime], values: dict[int, Decimal], tz: ZoneInfo
) -> tuple[list[Point], list[RowError]]:
    """Join moments and values; each interval lasts to the next row, after a gap as long as the one before."""
    order = sorted(moments, key=lambda number: moments[number])
    lengths = [_minutes(moments[a], moments[b]) for a, b in pairwise(order)]
    usual = Counter(length for length in lengths[:3] if length in LENGTHS).most_common(1)
    minutes = usual[0][0] if usual else 60
    points, gaps = [], []
    for position, number in enumerate(order):
        length, following = (*lengths[position : position + 2], 0, 0)[:2]
        if length in LENGTHS and (length <= minutes or length == following):
            minutes = length
        elif length:
            gaps.append((number, length - minutes))
        if number in values:
            points.append(Point(moments[number], minutes, values[number]))
    return points, _gap_warnings(table, gaps, moments, tz)


def _minutes(first: datetime, following: datetime) -> int:
    return int((following - first).total_seconds()) // 60


def _gap_warnings(
    table: Table, gaps: Iterable[tuple[int, int]], moments: dict[int, datetime], tz: ZoneInfo
) -> list[RowError]:
    listed = list(gaps)
    warnings = [
        RowError(
            table.sheet,
            number,
            "",
            "",
            tr(
                "After {at:%Y-%m-%d %H:%M} {minutes:g} minutes are missing.",
                at=moments[number].astimezone(tz),
                minutes=minutes,
            ),
        )
        for number, minutes in listed[:MOST_GAPS]
    ]
    if len(listed) > MOST_GAPS:
        warnings.append(
            RowError(table.sheet, None, "", "", tr("{count} more gaps.", count=len(listed) - MOST_GAPS))
        )
    return warnings


def _facts(points: Sequence[Point]) -> tuple[tuple[str, str], ...]:
    steps = sorted({point.minutes for point in points})
    return ((tr("Steps"), listed(f"{minutes} min" for minutes in steps)),) if steps else ()
