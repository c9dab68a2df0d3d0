"""A tariff's weeks as tables that a person reads: equal days in one row, equal hours in one cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby

from billing.tariff import Tariff
from billing.tariff.week import Grid, WeekGrid, week_grids
from depot.words import day_month, listed, tr, weekday_words

LEVELS = 5


@dataclass(frozen=True, slots=True)
class Cell:
    """Hours with one price: how many slots wide, from when to when, the price, and how dear it is (0 to 5)."""

    slots: int
    hours: str
    price: Decimal
    level: int


@dataclass(frozen=True, slots=True)
class WeekTable:
    """One week of prices: a row for each set of equal days; `hour_slots` are the columns of an hour."""

    hour_slots: int
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True, slots=True)
class SeasonTables:
    """A part of the year with its prices of energy and, where there is any, of demand."""

    title: str
    energy: WeekTable
    demand: WeekTable | None


def season_tables(tariff: Tariff, year: int) -> list[SeasonTables]:
    """Return the week tables of a year, those of one kind with one scale of dearness."""
    grids = week_grids(tariff, year)
    energy = _levels(grid.per_kwh for grid in grids)
    demand = _levels(grid.per_kw for grid in grids)
    return [
        SeasonTables(
            _when(grid.spans),
            _table(grid.per_kwh, grid, energy),
            _table(grid.per_kw, grid, demand) if any(map(any, grid.per_kw)) else None,
        )
        for grid in grids
    ]


def price_range(tariff: Tariff, year: int) -> tuple[Decimal, Decimal]:
    """Return the lowest and the highest price per kWh of a year's weeks."""
    prices = {price for grid in week_grids(tariff, year) for day in grid.per_kwh for price in day}
    return min(prices), max(prices)


def _levels(grids: Iterable[Grid]) -> dict[Decimal, int]:
    """Give each price its level: 0 for nothing, then by rank from 1 (cheapest) to `LEVELS`."""
    prices = sorted({price for grid in grids for day in grid for price in day if price > 0})
    top = max(len(prices) - 1, 1)
    ranked = {price: 1 + round(rank * (LEVELS - 1) / top) for rank, price in enumerate(prices)}
    return ranked


def _table(prices: Grid, grid: WeekGrid, levels: dict[Decimal, int]) -> WeekTable:
    days: dict[tuple[Decimal, ...], list[int]] = {}
    for weekday, slots in enumerate(prices):
        days.setdefault(slots, []).append(weekday)
    rows = tuple((_days(held), _cells(slots, grid.slot_minutes, levels)) for slots, held in days.items())
    return WeekTable(60 // grid.slot_minutes, rows)


def _cells(slots: Sequence[Decimal], minutes: int, levels: dict[Decimal, int]) -> tuple[Cell, ...]:
    cells, at = [], 0
    for price, run in groupby(slots):
        width = len(list(run))
        hours = f"{_clock(at * minutes)}–{_clock((at + width) * minutes)}"
        cells.append(Cell(width, hours, price, levels.get(price, 0)))
        at += width
    return tuple(cells)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _days(held: Sequence[int]) -> str:
    if len(held) == 7:
        return tr("Every day")
    if len(held) > 2 and list(held) == list(range(held[0], held[-1] + 1)):
        return f"{weekday_words(held[0])}–{weekday_words(held[-1])}"
    return ", ".join(weekday_words(day) for day in held)


def _when(spans: Sequence[tuple[date, date]]) -> str:
    first, last = spans[0][0], spans[-1][1]
    if len(spans) == 1 and (first.month, first.day, last.month, last.day) == (1, 1, 12, 31):
        return tr("All year")
    return listed(tr("{start} to {end}", start=_day(start), end=_day(end)) for start, end in spans)


def _day(day: date) -> str:
    return day_month(day)
