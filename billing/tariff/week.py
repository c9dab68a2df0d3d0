"""Lay a tariff out as weeks: what a kWh and a kW cost on each weekday and hour, season by season."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from math import gcd

import numpy as np

from billing.tariff.calendar import LocalSteps, active_row, day_number
from billing.tariff.model import MINUTES_PER_DAY, Price, Tariff

DAYS = 7
WHOLE_HOUR = 60
FINEST_SLOT = 15
Grid = tuple[tuple[Decimal, ...], ...]


@dataclass(frozen=True, slots=True)
class WeekGrid:
    """The week of one part of the year: 7 rows (Monday first) of slots, before tax and without events.

    `per_kwh` adds up the components of energy (first tiers; a dynamic one counts its adder alone), `per_kw` the
    demand prices of the billing period (of a yearly charge a twelfth, of a daily one nothing). `spans` are the
    inclusive dates of the year on which it holds.
    """

    spans: tuple[tuple[date, date], ...]
    slot_minutes: int
    per_kwh: Grid
    per_kw: Grid


def week_grids(tariff: Tariff, year: int) -> list[WeekGrid]:
    """Return the weeks of a year, one for each set of dates with the same prices, in order of their first day.

    Monthly riders have the price of the month's first day. A part of the year that is shorter than a week shows
    the prices of the week from its first day.
    """
    plain = replace(
        tariff,
        holidays=(),
        recurring_holidays=(),
        events=tuple(replace(event, days=()) for event in tariff.events),
    )
    minutes = max(gcd(WHOLE_HOUR, *_edges(tariff)), FINEST_SLOT)
    found: dict[tuple[Grid, Grid], list[tuple[date, date]]] = {}
    for first, last in _parts(tariff, year):
        steps = _week_from(first, minutes)
        key = (_energy(plain, first, steps), _demand(plain, steps))
        spans = found.setdefault(key, [])
        if spans and spans[-1][1] + timedelta(days=1) == first:
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((first, last))
    return [WeekGrid(tuple(spans), minutes, *key) for key, spans in found.items()]


def _edges(tariff: Tariff) -> set[int]:
    """Return every minute of the day at which a price of energy or demand begins or ends."""
    rows = [row for component in tariff.energy for row in component.prices]
    rows += [row for charge in tariff.demand for row in charge.prices]
    return {edge for row in rows for when in row.when for span in when.hours for edge in span}


def _parts(tariff: Tariff, year: int) -> list[tuple[date, date]]:
    """Cut a year at its months and at the edges of the tariff's seasons."""
    edges = {date(year, month, 1) for month in range(1, 13)}
    for season in tariff.seasons:
        for first, last in season.spans:
            edges.add(_date(year, first))
            edges.add(_date(year, last) + timedelta(days=1))
    inside = sorted(edge for edge in edges if edge.year == year)
    return [
        (first, following - timedelta(days=1))
        for first, following in pairwise([*inside, date(year + 1, 1, 1)])
    ]


def _date(year: int, month_day: int) -> date:
    """Return a date of month*100 + day; 29 February counts as the 28th in an ordinary year."""
    month, day = divmod(month_day, 100)
    try:
        return date(year, month, day)
    except ValueError:
        return date(year, month, day - 1)


def _week_from(first: date, minutes: int) -> LocalSteps:
    """Return seven days from a date as steps, its weekday first; the clock of the wall alone counts."""
    local = day_number(first) * MINUTES_PER_DAY + np.arange(0, DAYS * MINUTES_PER_DAY, minutes)
    return LocalSteps(local, local, minutes)


def _energy(tariff: Tariff, first: date, steps: LocalSteps) -> Grid:
    total = [Decimal(0)] * steps.local_minute.size
    for component in tariff.energy:
        if component.series is not None:
            prices = [component.series.adder_per_kwh] * len(total)
        elif component.monthly:
            month = first.year * 100 + first.month
            known = [price for number, price in component.monthly if number <= month]
            prices = [known[-1] if known else component.monthly[0][1]] * len(total)
        else:
            prices = _of_rows(tariff, component.prices, steps)
        total = [a + b for a, b in zip(total, prices, strict=True)]
    return _by_weekday(first_weekday(steps), total, steps.minutes)


def _demand(tariff: Tariff, steps: LocalSteps) -> Grid:
    total = [Decimal(0)] * steps.local_minute.size
    for charge in tariff.demand:
        if charge.per == "day":
            continue
        share = Decimal(12) if charge.per == "year" else Decimal(1)
        prices = _of_rows(tariff, [row for row in charge.prices if not row.steps], steps)
        total = [a + b / share for a, b in zip(total, prices, strict=True)]
    return _by_weekday(first_weekday(steps), total, steps.minutes)


def _of_rows(tariff: Tariff, rows: Sequence[Price], steps: LocalSteps) -> list[Decimal]:
    if not rows:
        return [Decimal(0)] * steps.local_minute.size
    amounts = [*(row.tiers[0].amount if row.tiers else row.amount for row in rows), Decimal(0)]
    return [amounts[index] for index in active_row(tariff, rows, steps).tolist()]


def first_weekday(steps: LocalSteps) -> int:
    """Return the weekday of the first step, 0 = Monday."""
    return int((steps.day[0] + 3) % DAYS)  # 1 January 1970 was a Thursday


def _by_weekday(first: int, values: Sequence[Decimal], minutes: int) -> Grid:
    per_day = MINUTES_PER_DAY // minutes
    days = [tuple(values[day * per_day : (day + 1) * per_day]) for day in range(DAYS)]
    return tuple(days[(weekday - first) % DAYS] for weekday in range(DAYS))
