"""Hold a battery's use over time and reduce it to what ages a cell, one day at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

HOURS_PER_DAY = 24.0
HOURS_PER_YEAR = 8760.0
KELVIN = 273.15
REST_RATE_PER_HOUR = 0.01
"""Slower SoC changes than this (per hour) count as standing, not as charging or discharging."""
EDGE_HOURS = 1e-6
"""Two moments closer than this are one: it keeps rounding errors from making a period of no length."""


@dataclass(frozen=True, slots=True, eq=False)
class SocProfile:
    """Hold a SoC and temperature history on rising `hours` (any start); between samples it is linear.

    `soc` is 0..1 of the capacity that the battery has at that time, `temperature_c` that of the cells.
    Raises ValueError when the arrays differ in length, time does not rise, or a value is impossible.
    """

    hours: FloatArray
    soc: FloatArray
    temperature_c: FloatArray

    def __post_init__(self) -> None:
        if not self.hours.shape == self.soc.shape == self.temperature_c.shape or self.hours.ndim != 1:
            raise ValueError("hours, soc and temperature_c must be series of the same length.")
        if self.hours.size < 2:
            raise ValueError("A profile needs at least two samples.")
        if not (np.isfinite(self.hours).all() and (np.diff(self.hours) > 0).all()):
            raise ValueError("The hours of a profile must rise from sample to sample.")
        if not ((self.soc >= 0) & (self.soc <= 1)).all():
            raise ValueError("SoC must lie between 0 and 1.")
        if not ((self.temperature_c >= -60) & (self.temperature_c <= 100)).all():
            raise ValueError("Cell temperatures must lie between -60 and 100 °C.")

    @property
    def span_hours(self) -> float:
        """Return the time from the first to the last sample."""
        return float(self.hours[-1] - self.hours[0])


def make_profile(hours: npt.ArrayLike, soc: npt.ArrayLike, temperature_c: npt.ArrayLike) -> SocProfile:
    """Return a profile from any sequences; a single temperature stands for all samples."""
    hour_values = np.asarray(hours, dtype=np.float64)
    temperatures = np.broadcast_to(np.asarray(temperature_c, dtype=np.float64), hour_values.shape)
    return SocProfile(hour_values, np.asarray(soc, dtype=np.float64), temperatures.copy())


def repetition_hours(profile: SocProfile) -> float:
    """Return the length of one pass when a profile is repeated.

    A profile that spans whole days is closed: its last sample is the first of the next pass. Any other is
    open: one more (median) step leads from its last sample to the first of the next pass.
    """
    span = profile.span_hours
    if abs(span / HOURS_PER_DAY - round(span / HOURS_PER_DAY)) * HOURS_PER_DAY < EDGE_HOURS:
        return span
    return span + float(np.median(np.diff(profile.hours)))


def repeated(profile: SocProfile, from_hour: float, to_hour: float) -> SocProfile:
    """Return the part from `from_hour` to `to_hour` of a profile repeated without end from hour 0 on."""
    length = repetition_hours(profile)
    offsets = profile.hours - profile.hours[0]
    inner = offsets < length - EDGE_HOURS
    first, last = int(from_hour // length), int(to_hour // length) + 1
    passes = np.arange(first, last + 1, dtype=np.float64)
    hours = (passes[:, None] * length + offsets[inner]).ravel()
    soc = np.tile(profile.soc[inner], passes.size)
    temperature_c = np.tile(profile.temperature_c[inner], passes.size)
    return cut(SocProfile(hours, soc, temperature_c), from_hour, to_hour)


def cut(profile: SocProfile, from_hour: float, to_hour: float) -> SocProfile:
    """Return the part of a profile between two hours, with interpolated samples at both ends."""
    inside = (profile.hours > from_hour + EDGE_HOURS) & (profile.hours < to_hour - EDGE_HOURS)
    hours = np.concatenate(([from_hour], profile.hours[inside], [to_hour]))
    return SocProfile(
        hours,
        np.interp(hours, profile.hours, profile.soc),
        np.interp(hours, profile.hours, profile.temperature_c),
    )


@dataclass(frozen=True, slots=True, eq=False)
class DailyUse:
    """Hold the stress on a battery per day (the last day may be short); every array has one value a day.

    `depth` is the largest rainflow range of the day. `mean_rate` is the mean absolute SoC change per hour,
    rests included; `charge_rate` its mean while charging. `starts` is the index of each day's first interval
    in `samples`, the profile with a sample added at each midnight.
    """

    samples: SocProfile
    starts: npt.NDArray[np.intp]
    days: FloatArray
    soc_travel: FloatArray
    depth: FloatArray
    mean_soc: FloatArray
    mean_kelvin: FloatArray
    mean_rate: FloatArray
    charge_rate: FloatArray

    def daily_mean(self, values: FloatArray) -> FloatArray:
        """Return the mean over each day of a value known at every sample, by the trapezoidal rule."""
        steps = np.diff(self.samples.hours)
        areas = (values[1:] + values[:-1]) / 2 * steps
        means: FloatArray = np.add.reduceat(areas, self.starts) / np.add.reduceat(steps, self.starts)
        return means


def daily_use(profile: SocProfile) -> DailyUse:
    """Return the daily stress of a profile; days are counted from its first sample."""
    samples = _with_midnights(profile)
    hours, soc = samples.hours, samples.soc
    steps, change = np.diff(hours), np.diff(soc)
    day = np.floor((hours[:-1] - hours[0] + EDGE_HOURS) / HOURS_PER_DAY).astype(np.intp)
    starts = np.flatnonzero(np.concatenate(([True], day[1:] != day[:-1])))
    lengths = np.add.reduceat(steps, starts)
    rate = change / steps
    moving = np.abs(rate) >= REST_RATE_PER_HOUR
    charging = moving & (change > 0)
    charging_hours = np.add.reduceat(np.where(charging, steps, 0.0), starts)
    charged = np.add.reduceat(np.where(charging, change, 0.0), starts)
    high = np.maximum.reduceat(np.maximum(soc[1:], soc[:-1]), starts)
    low = np.minimum.reduceat(np.minimum(soc[1:], soc[:-1]), starts)
    kelvin = samples.temperature_c + KELVIN
    return DailyUse(
        samples=samples,
        starts=starts,
        days=lengths / HOURS_PER_DAY,
        soc_travel=np.add.reduceat(np.abs(change), starts),
        depth=high - low,
        mean_soc=np.add.reduceat((soc[1:] + soc[:-1]) / 2 * steps, starts) / lengths,
        mean_kelvin=np.add.reduceat((kelvin[1:] + kelvin[:-1]) / 2 * steps, starts) / lengths,
        mean_rate=np.add.reduceat(np.where(moving, np.abs(change), 0.0), starts) / lengths,
        charge_rate=np.divide(charged, charging_hours, out=np.zeros_like(charged), where=charging_hours > 0),
    )


def _with_midnights(profile: SocProfile) -> SocProfile:
    first, last = profile.hours[0], profile.hours[-1]
    midnights = first + HOURS_PER_DAY * np.arange(1, int((last - first) // HOURS_PER_DAY) + 1)
    nearest = np.searchsorted(profile.hours, midnights)
    after = profile.hours[np.minimum(nearest, profile.hours.size - 1)] - midnights
    before = midnights - profile.hours[nearest - 1]
    new = midnights[(np.abs(after) > EDGE_HOURS) & (before > EDGE_HOURS)]
    if new.size == 0:
        return profile
    hours = np.sort(np.concatenate((profile.hours, new)))
    return SocProfile(
        hours,
        np.interp(hours, profile.hours, profile.soc),
        np.interp(hours, profile.hours, profile.temperature_c),
    )
