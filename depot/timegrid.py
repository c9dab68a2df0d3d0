"""Lay a grid of equal time steps over days that may have 23, 24 or 25 hours.

A *step* is a half-open interval of the grid; a *boundary* is the moment at which a step starts, so a grid of
n steps has the boundaries 0 (its start) to n (its end). All moments are aware; everything returned is UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Rounding = Literal["pull_out", "pull_in"]


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """Hold `steps` equal steps of `step_minutes` from `start_at` (aware; kept as UTC)."""

    start_at: datetime
    step_minutes: int
    steps: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "start_at", _utc(self.start_at))
        if self.step_minutes < 1:
            raise ValueError(f"step_minutes must be at least 1, not {self.step_minutes}.")
        if self.steps < 0:
            raise ValueError(f"steps must not be negative, not {self.steps}.")

    @property
    def step(self) -> timedelta:
        """Return the length of one step."""
        return _step(self.step_minutes)

    @property
    def step_hours(self) -> float:
        """Return the length of one step in hours: kW times this is kWh."""
        return self.step_minutes / 60

    @property
    def end_at(self) -> datetime:
        """Return the end of the last step, which is boundary `steps`."""
        return self.time_of(self.steps)

    def time_of(self, boundary: int) -> datetime:
        """Return the moment of a boundary; boundaries outside the grid are allowed."""
        return self.start_at + boundary * self.step

    def times(self) -> list[datetime]:
        """Return the start of each step (`steps` values)."""
        return [self.time_of(index) for index in range(self.steps)]

    def index_of(self, at: datetime) -> int:
        """Return the step that contains a moment; raise ValueError when none does."""
        index = (_utc(at) - self.start_at) // self.step
        if not 0 <= index < self.steps:
            grid = f"{self.start_at.isoformat()} to {self.end_at.isoformat()}"
            raise ValueError(f"{at.isoformat()} is outside the grid {grid}.")
        return index

    def boundary_of(self, at: datetime, rounding: Rounding) -> int:
        """Return the boundary of a vehicle movement, clipped to 0..`steps`.

        A pull-out floors (the vehicle must be ready by the boundary before it leaves) and a pull-in ceils
        (it can be used only from the boundary after it is back), so that rounding never invents plugged time.
        """
        elapsed = _utc(at) - self.start_at
        boundary = elapsed // self.step if rounding == "pull_out" else -(-elapsed // self.step)
        return min(max(boundary, 0), self.steps)


def floor_to_step(at: datetime, minutes: int) -> datetime:
    """Return the last multiple of `minutes` (counted from the UTC epoch) not after a moment."""
    step = _step(minutes)
    return EPOCH + (_utc(at) - EPOCH) // step * step


def ceil_to_step(at: datetime, minutes: int) -> datetime:
    """Return the first multiple of `minutes` (counted from the UTC epoch) not before a moment."""
    step = _step(minutes)
    return EPOCH - (EPOCH - _utc(at)) // step * step


@lru_cache(maxsize=50_000)
def local_to_utc(day: date, minutes_after_midnight: float, tz: ZoneInfo) -> datetime:
    """Return the moment of a wall-clock time of a service day, for schedule times that may pass 24:00.

    The minutes are counted on the wall clock from the local midnight of `day`: 1530 is 25:30, so 01:30 on the
    next calendar day (negative minutes belong to the day before). A time that the spring clock change leaves
    out moves forward by the length of the gap; a time that the autumn change repeats is the first of the two.
    """
    wall = datetime.combine(day, time()) + timedelta(minutes=minutes_after_midnight)
    # fold=0 reads a nonexistent time with the offset before the gap, which lands the gap's length later.
    return wall.replace(tzinfo=tz, fold=0).astimezone(UTC)


def local_midnights(tz: ZoneInfo, from_date: date, to_date: date) -> list[datetime]:
    """Return the start of each local day from `from_date` to `to_date`, both included."""
    return [local_to_utc(day, 0, tz) for day in days(from_date, to_date)]


def local_day_bounds(day: date, tz: ZoneInfo) -> tuple[datetime, datetime]:
    """Return start and end of a local day, which lasts 23, 24 or 25 hours."""
    return local_to_utc(day, 0, tz), local_to_utc(day + timedelta(days=1), 0, tz)


def month_bounds(day: date, tz: ZoneInfo) -> tuple[datetime, datetime]:
    """Return start and end of the local calendar month that contains a day."""
    first = day.replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    return local_to_utc(first, 0, tz), local_to_utc(following, 0, tz)


def days(from_date: date, to_date: date) -> Iterator[date]:
    """Yield each date from `from_date` to `to_date`, both included."""
    for offset in range((to_date - from_date).days + 1):
        yield from_date + timedelta(days=offset)


def resample_mean(power_kw: npt.ArrayLike, from_minutes: int, to_minutes: int) -> npt.NDArray[np.float64]:
    """Return a kW series on another regular step, each value the mean power over its new step.

    Energy is conserved. One step must be a multiple of the other, and the series must fill whole new steps;
    otherwise ValueError. A missing value (NaN) makes the new steps that contain it NaN, never a false mean.
    """
    series = np.asarray(power_kw, dtype=np.float64)
    if from_minutes < 1 or to_minutes < 1:
        raise ValueError("Steps must be at least 1 minute.")
    if from_minutes % to_minutes == 0:
        return np.repeat(series, from_minutes // to_minutes)
    if to_minutes % from_minutes:
        raise ValueError(
            f"Cannot resample {from_minutes} to {to_minutes} minutes: one must be a multiple of the other."
        )
    factor = to_minutes // from_minutes
    if series.size % factor:
        raise ValueError(
            f"{series.size} values of {from_minutes} minutes do not fill whole {to_minutes} minutes."
        )
    means: npt.NDArray[np.float64] = series.reshape(-1, factor).mean(axis=1)
    return means


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None or at.utcoffset() is None:
        raise ValueError(f"{at.isoformat()} has no time zone; give an aware time.")
    return at.astimezone(UTC)


@lru_cache
def _step(minutes: int) -> timedelta:
    if minutes < 1:
        raise ValueError(f"A step must be at least 1 minute, not {minutes}.")
    return timedelta(minutes=minutes)
