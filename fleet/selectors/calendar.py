"""A month of the schedule: which services run on each day, holidays, half days, expected temperature."""

from __future__ import annotations

import calendar as months
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from depot.models import Depot
from depot.timegrid import days
from depot.words import mark, tr
from fleet.calendars.rules import DayRule
from fleet.models import Block, DayTemperature, ServiceCalendar
from fleet.selectors.duties import blocks_of_days, differing_days

NO_CALENDAR = mark("Without a calendar")


@dataclass(frozen=True, slots=True)
class Remark:
    """How a day differs in one calendar."""

    calendar: ServiceCalendar
    rule: DayRule


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the page: blocks that run by the name of their calendar, and what is special."""

    date: date
    in_month: bool
    running: Mapping[str, int]
    remarks: list[Remark]
    temperature: DayTemperature | None

    @property
    def blocks(self) -> int:
        return sum(self.running.values())


@dataclass(frozen=True, slots=True)
class Month:
    """The weeks of a month, each from Monday to Sunday, and the calendars of the depot."""

    first: date
    weeks: list[list[Day]]
    calendars: list[ServiceCalendar]
    without_calendar: int

    @property
    def days(self) -> list[Day]:
        """Return the days of the month itself."""
        return [day for week in self.weeks for day in week if day.in_month]


def month_of(depot: Depot, first: date) -> Month:
    """Return the month that begins on `first`, from seven queries at most.

    Cancelled runs of single days are the Day page's.
    """
    last = first.replace(day=months.monthrange(first.year, first.month)[1])
    begin = first - timedelta(days=first.weekday())
    end = last + timedelta(days=6 - last.weekday())
    calendars = list(ServiceCalendar.objects.of_depot(depot).order_by("name"))
    names = {calendar.pk: calendar.name for calendar in calendars}
    blocks = blocks_of_days(depot, begin, end)
    differing = differing_days([depot], calendars, begin, end)
    told = DayTemperature.objects.of_depot(depot).filter(date__range=(begin, end))
    temperatures = {row.date: row for row in told}
    cells = [
        Day(
            day,
            day.month == first.month,
            _running(blocks, day, differing, names),
            _remarks(calendars, day, differing),
            temperatures.get(day),
        )
        for day in days(begin, end)
    ]
    weeks = [cells[start : start + 7] for start in range(0, len(cells), 7)]
    loose = sum(block.calendar_id is None and block.service_date is None for block in blocks)
    return Month(first, weeks, calendars, loose)


def _running(
    blocks: list[Block],
    day: date,
    differing: Mapping[int, Mapping[date, DayRule]],
    names: Mapping[int, str],
) -> dict[str, int]:
    count = Counter(
        names.get(block.calendar_id or 0) or tr(NO_CALENDAR)
        for block in blocks
        if block.runs_on(day, differing.get(block.calendar_id or 0, {}))
    )
    return dict(sorted(count.items()))


def _remarks(
    calendars: list[ServiceCalendar], day: date, differing: Mapping[int, Mapping[date, DayRule]]
) -> list[Remark]:
    rules = ((calendar, differing.get(calendar.pk, {}).get(day)) for calendar in calendars)
    return [Remark(calendar, rule) for calendar, rule in rules if rule is not None]
