"""Registers, sun and building load: what is expected, from what was measured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depot.forecasting import load, solar
from depot.forecasting.registers import counted_energy, register_energy

GREENSBORO = solar.Place(36.1, -79.95, 273.0)
ROOF = solar.Array(peak_kw=100, inverter_kw=90, tilt_degrees=10, azimuth_degrees=180, loss_fraction=0.1)
NOON = datetime(2026, 6, 21, 17, 20, tzinfo=UTC)


def test_energy_between_boundaries_is_the_difference_of_the_register():
    energy = register_energy([0, 900, 1800, 2700], [10, 12, 15, 15], [0, 900, 1800, 2700])
    assert energy.tolist() == [2, 3, 0]


def test_a_reading_between_boundaries_is_shared_evenly():
    assert register_energy([0, 1800], [0, 4], [0, 900, 1800]).tolist() == [2, 2]


def test_a_register_that_falls_was_reset_and_counts_on():
    assert register_energy([0, 900, 1800], [100, 103, 2], [0, 900, 1800]).tolist() == [3, 2]


def test_steps_without_readings_are_unknown():
    energy = register_energy([0, 900, 9000, 9900], [0, 1, 50, 51], [0, 900, 1800, 8100, 9000, 9900, 10800])
    assert np.isnan(energy).tolist() == [False, True, True, True, False, True]
    assert np.isnan(register_energy([0], [5], [0, 900])).all()


def test_a_session_counts_nothing_outside_its_readings():
    assert counted_energy([900, 1800], [1, 4], [0, 900, 1800, 2700]).tolist() == [0, 3, 0]
    assert counted_energy([900], [1], [0, 900]).tolist() == [0]


@given(st.lists(st.floats(0, 50), min_size=2, max_size=40))
def test_no_energy_is_lost_or_made_between_readings(increments):
    totals = np.cumsum([0, *increments])
    at = np.arange(len(totals)) * 600.0
    energy = register_energy(at, totals, np.linspace(0, at[-1], 17))
    assert energy.sum() == pytest.approx(totals[-1], abs=1e-6)


def test_a_clear_summer_noon_nears_the_rating_and_night_is_dark():
    times = [NOON, NOON + timedelta(hours=12)]
    noon, night = solar.clear_sky_kw([ROOF], GREENSBORO, times, temperature_c=25)
    assert 60 < noon <= 90
    assert night == 0


def test_power_never_passes_the_inverter():
    weather = solar.Weather(*(np.array([value]) for value in (1000.0, 900.0, 100.0, 0.0)))
    small = solar.Array(100, 40, 10, 180, 0.0)
    assert solar.power_kw([small], GREENSBORO, [NOON], weather)[0] == pytest.approx(40, abs=0.5)


def test_an_east_roof_peaks_before_a_west_roof():
    hours = [NOON + timedelta(hours=shift) for shift in range(-6, 7)]
    peaks = [
        int(np.argmax(solar.clear_sky_kw([solar.Array(100, 90, 30, azimuth, 0.1)], GREENSBORO, hours)))
        for azimuth in (90, 270)
    ]
    assert peaks[0] < peaks[1]


def test_clearness_is_measured_over_possible_and_unknown_at_night():
    clear = np.array([0.0, 50.0, 100.0])
    assert solar.clearness(np.array([0.0, 25.0, 50.0]), clear) == pytest.approx(0.5)
    assert solar.clearness(np.array([np.nan, np.nan, np.nan]), clear) is None
    assert solar.clearness(np.array([0.0]), np.array([0.0])) is None


def test_todays_sky_counts_now_and_the_usual_sky_later():
    clear = np.full(3, 100.0)
    expected = solar.forecast_kw(clear, np.array([0.0, 6.0, 48.0]), 0.2, 0.8)
    assert expected[0] == pytest.approx(20)
    assert expected[0] < expected[1] < expected[2]
    assert expected[2] == pytest.approx(80, abs=0.1)
    assert solar.forecast_kw(clear, np.zeros(3), None, None) == pytest.approx(70)


def weeks(count: int) -> tuple[np.ndarray, np.ndarray]:
    steps = np.arange(count * 7 * 24)
    return steps // 24 % 7, steps % 24 * 60


def test_the_profile_is_the_mean_by_weekday_and_hour():
    weekday, minute = weeks(2)
    measured = np.where(weekday < 5, 100.0, 20.0) + minute / 60
    profile = load.profile_kw(measured, weekday, minute, 60)
    assert profile.shape == (7, 24)
    assert profile[2, 10] == pytest.approx(110)
    assert profile[6, 0] == pytest.approx(20)


def test_a_day_never_seen_takes_its_like():
    weekday, minute = weeks(1)
    measured = np.where(weekday == 0, 50.0, np.nan)
    profile = load.profile_kw(measured, weekday, minute, 60)
    assert profile[3].tolist() == [50.0] * 24
    assert profile[6].tolist() == [50.0] * 24


def test_without_history_the_profile_is_unknown():
    weekday, minute = weeks(1)
    assert np.isnan(load.profile_kw(np.full(weekday.size, np.nan), weekday, minute, 60)).all()


def test_the_level_follows_the_last_hours_within_bounds():
    expected = np.full(4, 100.0)
    assert load.level(np.full(4, 120.0), expected) == pytest.approx(1.2)
    assert load.level(np.full(4, 900.0), expected) == 1.5
    assert load.level(np.full(4, np.nan), expected) == 1.0
    assert load.forecast_kw(np.full((7, 24), 100.0), np.array([1]), np.array([60]), 1.2).tolist() == [120.0]
