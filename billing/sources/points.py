"""Values per interval (prices per kWh, kg CO2 per kWh), laid on the steps of a depot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from depot.timegrid import TimeGrid
from depot.words import mark

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

LENGTHS = (5, 10, 15, 20, 30, 60)
FINE_MINUTES = 5
WEEKS_BACK = 4
FACTORS = {
    "mwh": Decimal("0.001"),
    "kwh": Decimal(1),
    "ct/kwh": Decimal("0.01"),
    "g/kwh": Decimal("0.001"),
    "kg/kwh": Decimal(1),
    "t/mwh": Decimal(1),
    "kg/mwh": Decimal("0.001"),
}
"""What a value in a unit is worth per kWh (money in the currency, CO2 in kg)."""
UNIT_WORDS = {
    "mwh": mark("per MWh"),
    "kwh": mark("per kWh"),
    "ct/kwh": "ct/kWh",
    "g/kwh": "g/kWh",
    "kg/kwh": "kg/kWh",
    "t/mwh": "t/MWh",
    "kg/mwh": "kg/MWh",
}


@dataclass(frozen=True, slots=True)
class Point:
    """One interval: aware UTC start, length in minutes (one of `LENGTHS`), value per kWh."""

    start_at: datetime
    minutes: int
    per_kwh: Decimal

    @property
    def end_at(self) -> datetime:
        """Return the end of the interval."""
        return self.start_at + timedelta(minutes=self.minutes)


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Values per kWh on a grid (NaN where nothing is known), and which of them are not the real ones."""

    per_kwh: Floats
    stale: Bools


def on_grid(points: Sequence[Point], grid: TimeGrid) -> Floats:
    """Return the mean value of each step, NaN for a step of which any part is unknown.

    Hourly and quarter-hourly points may follow each other; of points that overlap the later in the sequence
    counts. Steps must be multiples of 5 minutes.
    """
    per_step = grid.step_minutes // FINE_MINUTES
    fine = np.full(grid.steps * per_step, np.nan)
    for point in points:
        first = (point.start_at - grid.start_at) // timedelta(minutes=FINE_MINUTES)
        last = first + point.minutes // FINE_MINUTES
        if last > 0 and first < fine.size:
            fine[max(first, 0) : last] = float(point.per_kwh)
    means: Floats = fine.reshape(grid.steps, per_step).mean(axis=1)
    return means


def series_of(points: Sequence[Point], grid: TimeGrid, tz: ZoneInfo) -> Series:
    """Return the series on a grid with what is missing filled by the last good value, and marked as stale.

    `points` may reach back `WEEKS_BACK` weeks before the grid, from where missing steps are filled.
    """
    back = timedelta(weeks=WEEKS_BACK) // grid.step
    wide = TimeGrid(grid.time_of(-back), grid.step_minutes, grid.steps + back)
    values = on_grid(points, wide)
    stale = np.isnan(values[back:])
    return Series(with_last_good(values, wide, back, tz), stale)


def with_last_good(values: Floats, grid: TimeGrid, first: int, tz: ZoneInfo) -> Floats:
    """Return the values from step `first` on, each missing one taken from the same weekday and local hour.

    The newest of the last `WEEKS_BACK` weeks counts; without one the last known value before it, or else the
    next. All NaN when nothing is known.
    """
    found = values[first:].copy()
    for index in np.flatnonzero(np.isnan(found)):
        local = grid.time_of(first + int(index)).astimezone(tz).replace(tzinfo=None)
        for weeks in range(1, WEEKS_BACK + 1):
            earlier = (local - timedelta(weeks=weeks)).replace(tzinfo=tz)
            step = (earlier - grid.start_at) // grid.step
            if step >= 0 and np.isfinite(values[step]):
                found[index] = values[step]
                break
    known = np.flatnonzero(np.isfinite(values))
    for index in np.flatnonzero(np.isnan(found)) if known.size else ():
        before = known[known < first + index]
        found[index] = values[before[-1] if before.size else known[0]]
    return found
