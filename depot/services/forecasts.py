"""Make and store what is expected of sun and building."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from depot.forecasting import load, solar
from depot.models import Depot, Forecast, Meter
from depot.selectors.metering import site_energy
from depot.timegrid import TimeGrid, floor_to_step
from depot.words import tr

Floats = npt.NDArray[np.float64]
HISTORY = timedelta(days=28)
RECENT = timedelta(hours=4)


def place_of(depot: Depot) -> solar.Place:
    return solar.Place(depot.latitude, depot.longitude, depot.elevation_m)


def arrays_of(depot: Depot) -> list[solar.Array]:
    return [
        solar.Array(row.peak_kw, row.inverter_kw, row.tilt_degrees, row.azimuth_degrees, row.loss_fraction)
        for row in depot.solar_arrays.all()
    ]


def middles(grid: TimeGrid) -> list[datetime]:
    """Return the middle of every step, where mean power is best sampled."""
    return [at + grid.step / 2 for at in grid.times()[: grid.steps]]


def horizon(depot: Depot, now: datetime, hours: float) -> TimeGrid:
    """Return the grid of a plan made at `now`: it begins with the step that is running."""
    start = floor_to_step(now, depot.step_minutes)
    return TimeGrid(start, depot.step_minutes, int(hours * 60 // depot.step_minutes))


def forecast_all(depot: Depot, now: datetime) -> list[Forecast]:
    """Make and store the forecasts of sun and building for the next 72 hours."""
    grid = horizon(depot, now, 72)
    made = [
        _store(depot, Forecast.Kind.SOLAR, now, grid, *expect_solar(depot, now, grid)),
        _store(depot, Forecast.Kind.BUILDING, now, grid, *expect_building(depot, now, grid)),
    ]
    Forecast.objects.filter(depot=depot, made_at__lt=now - timedelta(days=90)).delete()
    return made


def _store(depot: Depot, kind: str, now: datetime, grid: TimeGrid, power_kw: Floats, source: str) -> Forecast:
    forecast, _ = Forecast.objects.update_or_create(
        depot=depot,
        kind=kind,
        made_at=now,
        defaults={
            "start_at": grid.start_at,
            "step_minutes": grid.step_minutes,
            "power_kw": [round(float(value), 3) for value in power_kw],
            "source": source,
        },
    )
    return forecast


def _past(depot: Depot, now: datetime, span: timedelta) -> TimeGrid:
    end = floor_to_step(now, depot.step_minutes)
    return TimeGrid(end - span, depot.step_minutes, int(span.total_seconds() // 60 // depot.step_minutes))


def expect_solar(depot: Depot, now: datetime, grid: TimeGrid) -> tuple[Floats, str]:
    """Return expected solar power per step in kW, and how it was found."""
    arrays = arrays_of(depot)
    if not arrays:
        return np.zeros(grid.steps), tr("The depot has no solar array.")
    place = place_of(depot)
    past = _past(depot, now, timedelta(days=14))
    measured = site_energy(depot, Meter.Kind.SOLAR, past).imported
    clear_past = solar.clear_sky_kw(arrays, place, middles(past))
    recent = int(RECENT / past.step)
    usual = solar.clearness(measured / past.step_hours, clear_past)
    current = solar.clearness(measured[-recent:] / past.step_hours, clear_past[-recent:])
    times = middles(grid)
    ahead = np.array([(at - now).total_seconds() / 3600 for at in times])
    expected = solar.forecast_kw(solar.clear_sky_kw(arrays, place, times), ahead, current, usual)
    if usual is None:
        return expected, tr("Clear sky at 70 %: the solar meter has not read yet.")
    return expected, tr(
        "Clear sky at {usual:.0%} as in the last 14 days, starting from today's sky.", usual=usual
    )


def local_slots(depot: Depot, grid: TimeGrid) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return weekday (0 = Monday) and minute after midnight, in the depot's time, of every step's start."""
    local = [depot.local(at) for at in grid.times()[: grid.steps]]
    return (
        np.array([at.weekday() for at in local], dtype=np.int64),
        np.array([at.hour * 60 + at.minute for at in local], dtype=np.int64),
    )


def expect_building(depot: Depot, now: datetime, grid: TimeGrid) -> tuple[Floats, str]:
    """Return expected building load per step in kW, and how it was found."""
    past = _past(depot, now, HISTORY)
    energy = site_energy(depot, Meter.Kind.BUILDING, past).imported
    measured = energy / past.step_hours
    if not np.isfinite(measured).any():
        return np.zeros(grid.steps), tr("0 kW: the building meter has not read in the last 28 days.")
    weekday, minute = local_slots(depot, past)
    profile = load.profile_kw(measured, weekday, minute, depot.step_minutes)
    recent = int(RECENT / past.step)
    usual = load.forecast_kw(profile, weekday[-recent:], minute[-recent:])
    today = load.level(measured[-recent:], usual)
    ahead = np.arange(grid.steps) * grid.step_hours
    weight = np.exp(-ahead / 12.0)
    expected = load.forecast_kw(profile, *local_slots(depot, grid)) * (1 + (today - 1) * weight)
    return expected, tr(
        "Its own mean by weekday and time of day over 28 days, starting from the last 4 hours."
    )
