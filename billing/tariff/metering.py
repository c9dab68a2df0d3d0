"""Meter demand: block averages of the import, and their maximum per charge, price row and billing period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from billing.tariff.calendar import (
    Floats,
    Ints,
    LocalSteps,
    active_row,
    day_number,
    season_days,
)
from billing.tariff.model import DemandCharge, Price, Tariff
from billing.tariff.periods import Span


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Hold metering blocks: their steps (start of each block) and mean import in kW."""

    steps: LocalSteps
    mean_kw: Floats


@dataclass(frozen=True, slots=True)
class Maximum:
    """The highest block of one price row in one billing period, at a UTC minute (first of ties)."""

    charge: DemandCharge
    price: Price
    period: int
    kw: float
    utc_minute: int


def meter_blocks(steps: LocalSteps, measured_kw: Floats, metering_minutes: int) -> Blocks:
    """Average import over blocks aligned to the local clock.

    `measured_kw` is zero where nothing was measured, and a block that the series cuts at its first or last
    step is still divided by its full length: what is not measured never makes a peak.
    """
    shift = int(steps.local_minute[0] - steps.utc_minute[0])
    block = (steps.utc_minute + shift) // metering_minutes
    first = np.flatnonzero(np.diff(block, prepend=block[0] - 1))
    mean_kw = np.add.reduceat(measured_kw, first) * (steps.minutes / metering_minutes)
    starts = LocalSteps(steps.utc_minute[first], steps.local_minute[first], steps.minutes)
    return Blocks(starts, mean_kw)


def maxima(tariff: Tariff, charge: DemandCharge, blocks: Blocks, period: Ints, periods: int) -> list[Maximum]:
    """Return the maxima of a charge, one for each billing period and price row that has a block."""
    row = active_row(tariff, charge.prices, blocks.steps)
    found = []
    for index in range(periods):
        for number, price in enumerate(charge.prices):
            inside = np.flatnonzero((period == index) & (row == number))
            if inside.size:
                top = inside[int(np.argmax(blocks.mean_kw[inside]))]
                kw, at = float(blocks.mean_kw[top]), int(blocks.steps.utc_minute[top])
                found.append(Maximum(charge, price, index, kw, at))
    return found


def season_share(tariff: Tariff, price: Price, span: Span) -> tuple[int, int]:
    """Return (days on which the price's season runs, days) of a billing period: its price is prorated so."""
    days = np.arange(day_number(span.first), day_number(span.end))
    return season_days(tariff, price, days), span.days


def demand_line_id(charge: DemandCharge, price: Price) -> str:
    """Return the id by which a bill, a price curve and the peaks so far name one demand maximum."""
    return f"demand_{charge.kind}.{charge.id}.{price.id}"


def metering_intervals(charges: Sequence[DemandCharge]) -> list[int]:
    """Return the distinct metering intervals of charges, ascending, in minutes."""
    return sorted({charge.metering_minutes for charge in charges})
