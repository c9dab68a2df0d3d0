"""Meter demand: block averages of the import, and their maximum per charge, price row and billing period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from billing.tariff.calendar import Floats, Ints, LocalSteps, active_row
from billing.tariff.model import DEFAULT_METERING_MINUTES, DemandCharge, Price
from billing.tariff.sheet import Sheet


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Hold metering blocks: their steps (start of each block), billing periods and mean import in kW."""

    steps: LocalSteps
    period: Ints
    mean_kw: Floats


@dataclass(frozen=True, slots=True)
class Maximum:
    """The metered value of one price row in one billing period, and its highest block's UTC minute.

    `kw` is the highest block (first of ties), or the mean of the N highest, whose values are `values`; of a
    daily charge `values` are the days' maxima and `kw` their highest. `by_day` holds each day's maximum (days
    since 1970) where the charge counts days.
    """

    charge: DemandCharge
    price: Price
    period: int
    kw: float
    utc_minute: int
    values: tuple[float, ...] = ()
    by_day: tuple[tuple[int, float], ...] = ()


class Meter:
    """Average a sheet's import over blocks aligned to the local clock, each interval once.

    Estimated steps count as 0, and a block that the series cuts at its first or last step is still divided
    by its full length: what is not measured never makes a peak.
    """

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        load = sheet.load
        measured = ~load.estimated
        self._import_kw = sheet.fine(np.where(measured, load.import_kw, 0.0))
        self._kvar = None
        if load.reactive_kvar is not None:
            self._kvar = sheet.fine(np.where(measured, load.reactive_kvar, 0.0))
        self._cut: dict[int, tuple[Ints, LocalSteps, Ints]] = {}
        self._known: dict[tuple[int, str], Blocks] = {}

    def blocks(self, minutes: int, unit: str = "kW") -> Blocks:
        """Return the blocks of `minutes`: mean kW, kvar, or kVA (from mean kW and mean kvar)."""
        key = (minutes, unit)
        if key not in self._known:
            first, steps, period = self._cuts(minutes)
            self._known[key] = Blocks(steps, period, self._averages(first, minutes, unit))
        return self._known[key]

    def _averages(self, first: Ints, minutes: int, unit: str) -> Floats:
        kvar = np.zeros_like(self._import_kw) if self._kvar is None else self._kvar
        if unit == "kvar":
            return self._mean(kvar, first, minutes)
        mean_kw = self._mean(self._import_kw, first, minutes)
        return np.hypot(mean_kw, self._mean(kvar, first, minutes)) if unit == "kVA" else mean_kw

    def _mean(self, values: Floats, first: Ints, minutes: int) -> Floats:
        if first.size == values.size and self._sheet.steps.minutes == minutes:
            return values
        return np.asarray(np.add.reduceat(values, first) * (self._sheet.steps.minutes / minutes))

    def _cuts(self, minutes: int) -> tuple[Ints, LocalSteps, Ints]:
        if minutes not in self._cut:
            steps = self._sheet.steps
            shift = int(steps.local_minute[0] - steps.utc_minute[0])
            block = (steps.utc_minute + shift) // minutes
            first = np.flatnonzero(np.diff(block, prepend=block[0] - 1))
            starts = LocalSteps(steps.utc_minute[first], steps.local_minute[first], steps.minutes)
            self._cut[minutes] = (first, starts, self._sheet.period[first])
        return self._cut[minutes]

    def highest_kw(self, index: int, minutes: int = DEFAULT_METERING_MINUTES) -> tuple[float, int] | None:
        """Return the highest block of a billing period in kW and its UTC minute; None without a block."""
        blocks = self.blocks(minutes)
        return _top(blocks, np.flatnonzero(blocks.period == index))


def maxima(sheet: Sheet, meter: Meter) -> list[Maximum]:
    """Return the maxima of all charges, one for each charge, billing period and price row with a block."""
    return [peak for charge in sheet.tariff.demand for peak in _maxima(sheet, charge, meter)]


def _maxima(sheet: Sheet, charge: DemandCharge, meter: Meter) -> list[Maximum]:
    blocks = meter.blocks(charge.metering_minutes, charge.unit)
    row = active_row(sheet.tariff, charge.prices, blocks.steps)
    found = []
    for index in range(len(sheet.spans)):
        in_period = np.flatnonzero(blocks.period == index)
        for number, price in enumerate(charge.prices):
            inside = in_period[row[in_period] == number]
            top = _top(blocks, inside)
            if top is not None:
                by_day = _by_day(charge, blocks, inside)
                values = _values(charge, blocks.mean_kw[inside], by_day)
                kw = sum(values) / len(values) if charge.highest > 1 else top[0]
                found.append(Maximum(charge, price, index, kw, top[1], values, by_day))
    return found


def _top(blocks: Blocks, inside: Ints) -> tuple[float, int] | None:
    if not inside.size:
        return None
    top = inside[int(np.argmax(blocks.mean_kw[inside]))]
    return float(blocks.mean_kw[top]), int(blocks.steps.utc_minute[top])


def _by_day(charge: DemandCharge, blocks: Blocks, inside: Ints) -> tuple[tuple[int, float], ...]:
    if charge.per != "day" and (charge.highest == 1 or not charge.on_different_days):
        return ()
    days = blocks.steps.day[inside]
    first = np.flatnonzero(np.diff(days, prepend=days[0] - 1))
    highest = np.maximum.reduceat(blocks.mean_kw[inside], first)
    return tuple(zip(map(int, days[first]), map(float, highest), strict=True))


def _values(
    charge: DemandCharge, mean_kw: Floats, by_day: tuple[tuple[int, float], ...]
) -> tuple[float, ...]:
    """Return the N highest values, or every day's maximum of a daily charge; empty for a plain maximum."""
    if charge.per == "day":
        return tuple(kw for _, kw in by_day)
    if charge.highest == 1:
        return ()
    values = [kw for _, kw in by_day] if by_day else mean_kw.tolist()
    return tuple(sorted(values, reverse=True)[: charge.highest])


def demand_line_id(charge: DemandCharge, price: Price) -> str:
    """Return the id by which a bill, a price curve and the peaks so far name one demand maximum."""
    return f"demand_{charge.kind}.{charge.id}.{price.id}"
