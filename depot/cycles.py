"""Billing cycles of a meter: calendar months, or from one reading to the next, by rule or on single days.

A cycle is named by the month in which it begins, so every month names exactly one. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from depot.timegrid import local_to_utc
from depot.words import day_month, tr

INSTANT = timedelta(microseconds=1)
LEAST_DAYS, MOST_DAYS = 20, 45
"""How long a cycle beside a reading day that was entered may be."""


@dataclass(frozen=True, slots=True)
class Cycles:
    """Cycles begin on `reading_day` (1 to 28) of the month, from the month `since` on; before it on the 1st.

    The cycle before the first reading day is the longer one: nothing falls between two cycles. A day of
    `read_on`, at most one in a month, takes the place of its month's.
    """

    tz: ZoneInfo
    reading_day: int = 1
    since: date | None = None
    read_on: tuple[date, ...] = ()

    def first_day(self, month: date) -> date:
        """Return the first local day of the cycle that a month (any of its days) names."""
        first = month.replace(day=1)
        if read := next((day for day in self.read_on if day.replace(day=1) == first), None):
            return read
        changed = self.since is None or first >= self.since.replace(day=1)
        return first.replace(day=self.reading_day if changed else 1)

    def month_of_day(self, day: date) -> date:
        """Return the first day of the month that names the cycle of a local day."""
        month = day.replace(day=1)
        return month if self.first_day(month) <= day else (month - timedelta(days=1)).replace(day=1)

    def month_of(self, at: datetime) -> date:
        """Return the first day of the month that names the cycle of a moment."""
        return self.month_of_day(at.astimezone(self.tz).date())

    def days(self, month: date) -> tuple[date, date]:
        """Return the first day of the cycle that a month names, and that of the next one."""
        return self.first_day(month), self.first_day(_next(month))

    def bounds(self, month: date) -> tuple[datetime, datetime]:
        """Return start and end of the cycle that a month (any of its days) names."""
        first, end = self.days(month)
        return local_to_utc(first, 0, self.tz), local_to_utc(end, 0, self.tz)

    def starts(self, start_at: datetime, end_at: datetime) -> list[date] | None:
        """Return the first days of the cycles that a span touches, and of the next one; None for calendar months."""
        month, last = self.month_of(start_at), self.month_of(end_at - INSTANT)
        found = [self.first_day(month)]
        while month <= last:
            month = _next(month)
            found.append(self.first_day(month))
        return None if all(day.day == 1 for day in found) else found

    def words(self, start_at: datetime, end_at: datetime) -> str:
        """Return the days of a cycle, like " (9 Mar to 8 Apr)"; nothing for a calendar month."""
        if self.starts(start_at, end_at) is None:
            return ""
        first, last = (at.astimezone(self.tz) for at in (start_at, end_at - INSTANT))
        return tr(" ({first} to {last})", first=day_month(first), last=day_month(last))


def reading_problems(cycles: Cycles) -> list[str]:
    """Tell what is wrong with the reading days that were entered; each sentence names the day and the cure."""
    found = []
    for day, following in pairwise(cycles.read_on):
        if following <= day:
            found.append(
                tr(
                    "{following} does not come after {day}. Enter the days in order, each once.",
                    following=following,
                    day=day,
                )
            )
        elif following.replace(day=1) == day.replace(day=1):
            found.append(
                tr(
                    "{day} and {following} lie in one month, which names one cycle. Enter one of them.",
                    day=day,
                    following=following,
                )
            )
    if found:
        return found
    for day in cycles.read_on:
        for month in ((day.replace(day=1) - timedelta(days=1)).replace(day=1), day):
            first, end = cycles.days(month)
            length = (end - first).days
            if not LEAST_DAYS <= length <= MOST_DAYS:
                found.append(
                    tr(
                        "With {day} the cycle from {first} to {end} has {length} days; {least_days} to "
                        "{most_days} are possible. Correct it, or enter the reading day of the month "
                        "beside it too.",
                        day=day,
                        first=first,
                        end=end,
                        length=length,
                        least_days=LEAST_DAYS,
                        most_days=MOST_DAYS,
                    )
                )
    return list(dict.fromkeys(found))


def _next(month: date) -> date:
    return (month.replace(day=1) + timedelta(days=31)).replace(day=1)
