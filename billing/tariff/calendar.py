"""Turn moments into local days and minutes, and decide which price row holds at each of them, by arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from itertools import pairwise
from math import gcd

import numpy as np
import numpy.typing as npt

from billing.tariff.model import DEFAULT_METERING_MINUTES, HOLIDAY, MINUTES_PER_DAY, Price, Tariff, When

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True, eq=False)
class LocalSteps:
    """Hold equal steps in local time: UTC minute, local minute of the epoch, and the step's length."""

    utc_minute: Ints
    local_minute: Ints
    minutes: int

    @property
    def day(self) -> Ints:
        """Return each step's local day, counted from 1 January 1970."""
        return self.local_minute // MINUTES_PER_DAY


def local_steps(start_at: datetime, steps: int, step_minutes: int, zone: tzinfo) -> LocalSteps:
    """Lay `steps` steps from an aware moment in a zone; days may have 23, 24 or 25 hours."""
    first = int(start_at.timestamp()) // 60
    utc_minute = first + step_minutes * np.arange(steps, dtype=np.int64)
    return LocalSteps(utc_minute, utc_minute + _utc_offsets(utc_minute, zone), step_minutes)


def refine(steps: LocalSteps, boundaries: Iterable[int], zone: tzinfo) -> tuple[LocalSteps, int]:
    """Return the steps cut so fine that no boundary (minutes of the day) lies inside one, and the factor."""
    minutes = gcd(steps.minutes, *boundaries, int(np.gcd.reduce(steps.local_minute % MINUTES_PER_DAY)))
    factor = steps.minutes // minutes
    if factor == 1:
        return steps, 1
    utc_minute = (steps.utc_minute[:, None] + minutes * np.arange(factor)).reshape(-1)
    return LocalSteps(utc_minute, utc_minute + _utc_offsets(utc_minute, zone), minutes), factor


def boundaries_of(tariff: Tariff) -> set[int]:
    """Return every minute of the day at which a price or a metering block of the tariff can begin or end."""
    rows = [price for component in tariff.energy for price in component.prices]
    rows += [price for charge in tariff.demand for price in charge.prices]
    rows += list(tariff.export.prices) if tariff.export else []
    edges = {edge for row in rows for when in row.when for span in when.hours for edge in span}
    edges |= {charge.metering_minutes for charge in tariff.demand} | {MINUTES_PER_DAY}
    edges |= {charge.metering_minutes for charge in tariff.subscriptions}
    edges |= {charge.metering_minutes for charge in tariff.coincident}
    if tariff.export and tariff.export.method == "net_billing_hourly":
        edges.add(60)
    if any(component.tier_basis.startswith("kwh_per_kw") for component in tariff.energy) or tariff.reactive:
        edges.add(DEFAULT_METERING_MINUTES)
    return edges


def active_row(tariff: Tariff, rows: Sequence[Price], steps: LocalSteps) -> Ints:
    """Return per step the index of the first row that holds, -1 where none does."""
    first_day = int(steps.day.min())
    days = np.arange(first_day, int(steps.day.max()) + 1)
    slots = np.arange(0, MINUTES_PER_DAY, steps.minutes)
    table = np.full((days.size, slots.size), -1, dtype=np.int64)
    for index in range(len(rows) - 1, -1, -1):
        for when in rows[index].when:
            table[np.ix_(_days_of(tariff, when, days), minutes_of(when, slots))] = index
    return table[steps.day - first_day, steps.local_minute % MINUTES_PER_DAY // steps.minutes]


def minutes_of(when: When, minute: Ints) -> Bools:
    """Tell for each minute of the day whether the condition's hours hold it."""
    held = np.zeros(minute.size, dtype=np.bool_)
    for first, last in when.hours:
        inside = (minute >= first) & (minute < last)
        held |= inside if first < last else (minute >= first) | (minute < last)
    return held


def season_days(tariff: Tariff, row: Price, days: Ints) -> int:
    """Return on how many of the days (since 1970) any of the row's seasons is running."""
    held = np.zeros(days.size, dtype=np.bool_)
    for when in row.when:
        held |= season_of(tariff, when, days)
    return int(held.sum())


def season_of(tariff: Tariff, when: When, days: Ints) -> Bools:
    """Tell for each day (since 1970) whether any of the condition's seasons is running."""
    if not when.seasons:
        return np.ones(days.size, dtype=np.bool_)
    month_day = _month_days(days)
    held = np.zeros(days.size, dtype=np.bool_)
    for season in tariff.seasons:
        if season.id in when.seasons:
            for first, last in season.spans:
                after, before = month_day >= first, month_day <= last
                held |= after & before if first <= last else after | before
    return held


def day_number(day: date) -> int:
    """Return a date as days since 1 January 1970."""
    return day.toordinal() - _EPOCH_ORDINAL


def date_of(day: int) -> date:
    """Return the date of a day counted from 1 January 1970."""
    return date.fromordinal(day + _EPOCH_ORDINAL)


def moment(utc_minute: int, zone: tzinfo) -> datetime:
    """Return the aware local moment of a UTC minute of the epoch."""
    return datetime.fromtimestamp(utc_minute * 60, zone)


def _days_of(tariff: Tariff, when: When, days: Ints) -> Bools:
    held = np.isin(_day_kinds(tariff, days), list(when.days)) & season_of(tariff, when, days)
    if when.events:
        called = [day_number(day) for event in tariff.events if event.id in when.events for day in event.days]
        held &= np.isin(days, called)
    return np.asarray(held)


def _month_days(days: Ints) -> Ints:
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    month = months.astype(np.int64) % 12 + 1
    return np.asarray(month * 100 + (dates - months.astype("datetime64[D]")).astype(np.int64) + 1)


def _day_kinds(tariff: Tariff, days: Ints) -> Ints:
    weekday = (days + 3) % 7  # 1 January 1970 was a Thursday
    holiday = np.isin(days, [day_number(day) for day in tariff.holidays])
    if tariff.recurring_holidays:
        holiday |= np.isin(_month_days(days), tariff.recurring_holidays)
    return np.where(holiday, HOLIDAY, weekday)


def _utc_offsets(utc_minute: Ints, zone: tzinfo) -> Ints:
    """Return each moment's offset from UTC in minutes, asking the zone once a day and at its changes."""
    first, last = int(utc_minute[0]), int(utc_minute[-1])
    probes = [*range(first, last, MINUTES_PER_DAY), last]
    starts, offsets = [first], [_offset(first, zone)]
    for before, after in pairwise(probes):
        if _offset(after, zone) != offsets[-1]:
            low, high = before, after
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(middle, zone) == offsets[-1] else (low, middle)
            starts.append(high)
            offsets.append(_offset(high, zone))
    index = np.searchsorted(starts, utc_minute, side="right") - 1
    return np.asarray(offsets, dtype=np.int64)[index]


def _offset(utc_minute: int, zone: tzinfo) -> int:
    delta = datetime.fromtimestamp(utc_minute * 60, UTC).astimezone(zone).utcoffset()
    return 0 if delta is None else int(delta.total_seconds()) // 60
