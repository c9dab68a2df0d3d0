"""Registers, sun and building load: what is expected, from what was measured."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depot.forecasting import load, solar
from depot.forecasting.registers import counted_energy, read_register, register_energy

GREENSBORO = solar.Place(36.1, -79.95, 273.0)
ROOF = solar.Array(peak_kw=100, inverter_kw=90, tilt_degrees=10, azimuth_degrees=180, loss_fraction=0.1)
NOON = datetime(2026, 6, 21, 17, 20, tzinfo=UTC)


def metered(at, totals, edges, greatest_kw=math.inf):
    return register_energy(read_register(at, totals, greatest_kw), edges).tolist()


def in_session(at, totals, edges, power_kw=None, greatest_kw=math.inf):
    power_kw = np.zeros(len(at)) if power_kw is None else power_kw
    return counted_energy(read_register(at, totals, greatest_kw), power_kw, edges, greatest_kw)


def test_energy_between_boundaries_is_the_difference_of_the_register():
    assert metered([0, 900, 1800, 2700], [10, 12, 15, 15], [0, 900, 1800, 2700]) == [2, 3, 0]


def test_a_reading_between_boundaries_is_shared_evenly():
    assert metered([0, 1800], [0, 4], [0, 900, 1800]) == [2, 2]


def test_steps_without_readings_are_unknown():
    energy = metered([0, 900, 9000, 9900], [0, 1, 50, 51], [0, 900, 1800, 8100, 9000, 9900, 10800])
    assert np.isnan(energy).tolist() == [False, True, True, True, False, True]
    assert np.isnan(metered([0], [5], [0, 900])).all()


def test_a_session_counts_nothing_outside_its_readings():
    assert in_session([900, 1800], [1, 4], [0, 900, 1800, 2700]).energy_kwh.tolist() == [0, 3, 0]
    assert in_session([900], [1], [0, 900]).energy_kwh.tolist() == [0]


MINUTES = np.arange(7) * 300.0
HALVES = [0, 900, 1800]
NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("totals", "energy", "doubted"),
    [
        ([100, 101, 102, 103, 104, 105, 106], [3, 3], 0),
        ([100, 101, 102, 103, 1e9, 105, 106], [3, 3], 1),  # a spike
        ([100, 101, 102, 103, 0, 105, 106], [3, 3], 1),  # a spike to nought
        ([100, 101, 102, 103, 9e9, 9e9, 106], [3, 3], 2),  # a long one
        ([100, 101, 102, 103, NAN, INF, 106], [3, 3], 2),
        ([100, 101, 102, 103, 103.99, 103.97, 106], [3, 3], 0),  # rounded in two ways
        ([100, 101, 102, 103, 0.4, 1.4, 2.4], [3, NAN], 1),  # reset
        ([100, 101, 102, 103, 5000, 5001, 5002], [3, NAN], 1),  # exchanged
        ([100, 101, 102, 103, 105, 105, 1e300], [3, NAN], 1),  # nobody can tell yet
        ([1e9, 101, 102, 103, 104, 105, 106], [NAN, 3], 1),
        ([100, 100, 100, 100, 100, 100, 106], [0, 6], 0),  # a register of large steps
        ([100, 100, 100, 100, 100, 100, 120], [0, NAN], 1),
    ],
)
def test_what_no_register_can_have_counted_is_not_energy(totals, energy, doubted):
    register = read_register(MINUTES, totals, greatest_kw=24)
    assert register_energy(register, HALVES) == pytest.approx(energy, abs=0.05, nan_ok=True)
    assert register.doubted.size == doubted


@pytest.mark.parametrize(
    ("totals", "energy", "estimated"),
    [
        ([0, 1, 2, 3, 1e9, 5, 6], [3, 3], [False, False]),
        ([0, 1, 2, 3, 0.4, 1.4, 2.4], [3, 2.4], [False, True]),  # it began from nought
        ([0, 1, 2, 3, 5000, 5001, 5002], [3, 3], [False, True]),  # as much as 12 kW make of five minutes
        ([0, 1, 2, 3, 4, 5, NAN], [3, 2], [False, False]),
    ],
)
def test_a_session_estimates_what_its_register_cannot_tell(totals, energy, estimated):
    counted = in_session(MINUTES, totals, HALVES, power_kw=[12] * 7, greatest_kw=24)
    assert counted.energy_kwh == pytest.approx(energy)
    assert counted.estimated.tolist() == estimated


@given(st.lists(st.floats(0, 50), min_size=2, max_size=40))
def test_no_energy_is_lost_or_made_between_readings(increments):
    totals = np.cumsum([0, *increments])
    at = np.arange(len(totals)) * 600.0
    energy = metered(at, totals, np.linspace(0, at[-1], 17))
    assert sum(energy) == pytest.approx(totals[-1], abs=1e-6)


READ = st.floats(allow_nan=True, allow_infinity=True, width=64)


@settings(max_examples=50, deadline=None)
@given(st.lists(READ, min_size=2, max_size=12), st.lists(READ, min_size=12, max_size=12))
def test_whatever_registers_say_no_more_is_counted_than_can_flow(totals, powers):
    at = np.arange(len(totals)) * 600.0
    counted = in_session(at, totals, [0, 3600, 7200], powers[: len(totals)], greatest_kw=60).energy_kwh
    assert np.isfinite(counted).all() and (counted >= 0).all()
    assert counted.sum() <= 60 * (at[-1] + 60 * len(totals)) / 3600 + 1e-9


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
