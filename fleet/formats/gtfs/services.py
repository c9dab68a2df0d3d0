"""On which days each service of a feed runs: calendar.txt and calendar_dates.txt."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from depot.imports.archive import Archive
from depot.words import tr
from fleet.formats.gtfs.tables import day_of, records
from fleet.formats.problems import Problems
from fleet.formats.service_days import NAMES
from fleet.formats.trips import Days

CALENDAR, EXCEPTIONS = "calendar.txt", "calendar_dates.txt"
LONGEST_DAYS = 3 * 366


def service_days(archive: Archive, problems: Problems) -> Mapping[str, Days]:
    """Return the days of each service. Where the same day is added and removed, it does not run."""
    days: dict[str, set[date]] = {}
    for row, (service, *flags, first, last) in records(
        archive, CALENDAR, ("service_id", *NAMES, "start_date", "end_date"), (), problems
    ):
        days[service] = _weekly(row, flags, first, last, problems)
    removed: dict[str, set[date]] = {}
    for row, (service, text, kind) in records(
        archive, EXCEPTIONS, ("service_id", "date", "exception_type"), (), problems
    ):
        day = day_of(text)
        if day is None or kind not in ("1", "2"):
            column, value = ("date", text) if day is None else ("exception_type", kind)
            cure = tr("Write it like 20260309.") if day is None else tr("Use 1 (added) or 2 (removed).")
            problems.error(
                EXCEPTIONS,
                row,
                column,
                value,
                tr("“{value}” is not a {column}. {cure}", value=value, column=column, cure=cure),
            )
        elif kind == "1":
            days.setdefault(service, set()).add(day)
        else:
            removed.setdefault(service, set()).add(day)
    return {service: frozenset(found - removed.get(service, set())) for service, found in days.items()}


def _weekly(row: int, flags: list[str], first: str, last: str, problems: Problems) -> set[date]:
    start, end = day_of(first), day_of(last)
    for column, text, day in (("start_date", first, start), ("end_date", last, end)):
        if day is None:
            problems.error(
                CALENDAR, row, column, text, tr("“{text}” is not a date. Write it like 20260309.", text=text)
            )
    for name, flag in zip(NAMES, flags, strict=True):
        if flag not in ("0", "1"):
            problems.error(CALENDAR, row, name, flag, tr("“{flag}” is neither 0 nor 1.", flag=flag))
    if start is None or end is None:
        return set()
    if end < start or (end - start).days > LONGEST_DAYS:
        problems.error(
            CALENDAR,
            row,
            "end_date",
            last,
            tr("{start} to {end} is no period of up to three years. Mend it.", start=start, end=end),
        )
        return set()
    span = (start + timedelta(days=offset) for offset in range((end - start).days + 1))
    return {day for day in span if flags[day.weekday()] == "1"}
