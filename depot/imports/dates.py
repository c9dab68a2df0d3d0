"""Text cells to dates. 03/04/2026 is decided by its whole column, and never guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Literal

from depot.imports.values import CellError
from depot.words import mark, tr

DateStyle = Literal["day first", "month first", "mixed", ""]

SERIAL_EPOCH = date(1899, 12, 30)
"""Spreadsheet programs count days from here (their 1900 has a 29 February that never was)."""

EARLIEST, LATEST = date(2000, 1, 1), date(2099, 12, 31)
ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]00:00(?::00(?:\.0+)?)?)?|(\d{4})(\d{2})(\d{2})")
SERIAL = re.compile(r"(\d{5})(?:\.0+)?")
DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
SLASHED = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})(?: 0?0:00(?::00)?)?")
SHORT_YEAR = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2}")
DAY_MONTH = re.compile(r"(\d{1,2})[ -]([a-z]{3})[a-z]*\.?[ -](\d{2}|\d{4})", re.IGNORECASE)
MONTH_DAY = re.compile(r"([a-z]{3})[a-z]*\.? (\d{1,2}),? (\d{4})", re.IGNORECASE)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
CURE = mark("Write it like 2026-03-09 (year-month-day).")


def date_style(texts: Iterable[str]) -> DateStyle:
    """Return what the column's dates with slashes prove: 13/02/2026 day first, 02/13/2026 month first."""
    proofs: set[DateStyle] = set()
    for text in set(texts):
        parts = SLASHED.fullmatch(text.strip())
        if parts and int(parts[1]) > 12:
            proofs.add("day first")
        elif parts and int(parts[2]) > 12:
            proofs.add("month first")
    if len(proofs) > 1:
        return "mixed"
    return proofs.pop() if proofs else ""


def parse_date(text: str, style: DateStyle = "") -> date:
    """Return a date written as ISO, 9.3.2026, 9 Mar 2026, a spreadsheet's day number, or with slashes.

    `style` (from `date_style` over the column) decides slashes that can be read in two ways; without a proof
    they are refused.
    """
    plain = text.strip()
    if parts := ISO.fullmatch(plain):
        year, month, day = (int(part) for part in parts.groups() if part)
        return _day(text, year, month, day)
    if parts := SERIAL.fullmatch(plain):
        return _within(text, SERIAL_EPOCH + timedelta(days=int(parts[1])))
    if parts := DOTTED.fullmatch(plain):
        return _day(text, int(parts[3]), int(parts[2]), int(parts[1]))
    if parts := SLASHED.fullmatch(plain):
        return _slashed(text, int(parts[1]), int(parts[2]), int(parts[3]), style)
    if parts := DAY_MONTH.fullmatch(plain):
        year = int(parts[3]) if len(parts[3]) == 4 else 2000 + int(parts[3])
        return _day(text, year, _month(text, parts[2]), int(parts[1]))
    if parts := MONTH_DAY.fullmatch(plain):
        return _day(text, int(parts[3]), _month(text, parts[1]), int(parts[2]))
    if SHORT_YEAR.fullmatch(plain):
        raise CellError(tr("“{text}” has a year of two digits. {cure}", text=text, cure=tr(CURE)))
    raise CellError(tr("“{text}” is not a date. {cure}", text=text, cure=tr(CURE)))


def _slashed(text: str, first: int, second: int, year: int, style: DateStyle) -> date:
    if first > 12 or (second <= 12 and style == "day first"):
        return _day(text, year, second, first)
    if second > 12 or style == "month first" or first == second:
        return _day(text, year, first, second)
    raise CellError(
        tr(
            "“{text}” can be day/month or month/day, and the column does not say which. Write "
            "{year}-{first:02}-{second:02} or {year}-{second:02}-{first:02}.",
            text=text,
            year=year,
            first=first,
            second=second,
        )
    )


def _month(text: str, name: str) -> int:
    try:
        return MONTHS.index(name.casefold()) + 1
    except ValueError:
        raise CellError(
            tr(
                "“{text}” is not a date: there is no month “{name}”. {cure}",
                text=text,
                name=name,
                cure=tr(CURE),
            )
        ) from None


def _day(text: str, year: int, month: int, day: int) -> date:
    try:
        return _within(text, date(year, month, day))
    except ValueError as error:
        if isinstance(error, CellError):
            raise
        raise CellError(
            tr("“{text}” is not a day of the calendar. {cure}", text=text, cure=tr(CURE))
        ) from None


def _within(text: str, day: date) -> date:
    if not EARLIEST <= day <= LATEST:
        raise CellError(
            tr("“{text}” is {day}, outside the years 2000 to 2099. {cure}", text=text, day=day, cure=tr(CURE))
        )
    return day
