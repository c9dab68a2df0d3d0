"""Consumption learnt from trips whose truth is known: level, temperature, shrinkage, uncertainty, outliers."""

from __future__ import annotations

import numpy as np
import pytest

from fleet.demand.energy import DEFAULT_CURVE, energy_needed
from fleet.demand.learnt import Learnt, TripUse, learn, margin

RATED = 0.9


def trips(
    vehicle: int,
    number: int,
    per_km: float,
    *,
    seed: int = 1,
    spread: float = 0.08,
    celsius: tuple[float, float] | None = (-5, 25),
    extra_cold: float = 0.0,
) -> list[TripUse]:
    """Make trips that follow the published curve, and take up to `extra_cold` more from 5 to -3 °C."""
    random = np.random.default_rng([seed, vehicle])
    made = []
    for age in range(number):
        at = float(random.uniform(*celsius)) if celsius else None
        factor = (
            DEFAULT_CURVE.factor(at) * (1 + extra_cold * np.clip((5 - at) / 8, 0, 1))
            if at is not None
            else 1.0
        )
        km = float(random.uniform(30, 90))
        kwh = km * per_km * factor * float(np.exp(random.normal(0, spread)))
        made.append(TripUse(vehicle, float(age), km, kwh, at, 0.02))
    return made


def expected(found: Learnt, celsius: float) -> float:
    return energy_needed(1.0, found.consumption(0.0), celsius).total_kwh


def test_many_trips_tell_each_vehicle_and_the_cold_apart() -> None:
    made = [*trips(1, 150, 1.0), *trips(2, 150, 1.25)]
    found = learn(made, [1, 2], RATED)
    assert found[1].kwh_per_km == pytest.approx(1.0, rel=0.04)
    assert found[2].kwh_per_km == pytest.approx(1.25, rel=0.04)
    assert expected(found[1], 0.0) == pytest.approx(DEFAULT_CURVE.factor(0.0), rel=0.06)
    assert (found[1].trips, found[1].fleet_trips) == (150, 300)
    assert found[1].spread == pytest.approx(0.08, abs=0.015)
    assert 8 < (found[1].mean_temp_c or 0) < 12


def test_the_curve_itself_is_learnt() -> None:
    found = learn(trips(1, 300, 1.0, extra_cold=0.2), [1], RATED)[1]
    assert expected(found, -3.0) == pytest.approx(1.2 * DEFAULT_CURVE.factor(-3.0), rel=0.06)
    assert expected(found, 18.0) == pytest.approx(1.0, rel=0.04)


def test_few_trips_are_drawn_towards_the_type_and_the_type_towards_what_was_entered() -> None:
    crowd = [trip for vehicle in range(10) for trip in trips(vehicle, 60, 1.0)]
    [odd] = trips(99, 1, 1.6, spread=0.0)
    found = learn([*crowd, odd], [*range(10), 99, 100], RATED)
    assert 1.0 < found[99].kwh_per_km < 1.35
    assert found[100].kwh_per_km == pytest.approx(1.0, rel=0.04)
    assert found[100].trips == 0
    alone = learn([odd], [99], RATED)[99]
    assert RATED < alone.kwh_per_km < 1.6


def test_uncertainty_falls_with_trips_and_grows_where_nobody_drove() -> None:
    few, many = (learn(trips(1, number, 1.0), [1], RATED)[1] for number in (12, 300))
    assert few.sigma(15.0) > many.sigma(15.0) > 0.06
    assert many.sigma(-20.0) > many.sigma(10.0)
    assert many.sigma(0.0, 4.0) > many.sigma(0.0)
    old = learn([TripUse(t.vehicle, t.age_days + 300, t.distance_km, t.driving_kwh, t.outside_temp_c)
                 for t in trips(1, 60, 1.0)], [1], RATED)[1]  # fmt: skip
    assert old.sigma(15.0) > learn(trips(1, 60, 1.0), [1], RATED)[1].sigma(15.0)


def test_the_quantile_covers_nineteen_trips_of_twenty() -> None:
    found = learn(trips(1, 200, 1.0), [1], RATED)[1]
    fresh = trips(1, 2000, 1.0, seed=7)
    within = [
        trip.driving_kwh
        <= trip.distance_km
        * expected(found, trip.outside_temp_c or 0.0)
        * (1 + margin(found.sigma(trip.outside_temp_c or 0.0)))
        for trip in fresh
    ]
    assert np.mean(within) == pytest.approx(0.95, abs=0.02)


def test_a_wild_trip_moves_nothing() -> None:
    made = trips(1, 60, 1.0)
    wild = TripUse(1, 0.0, 50.0, 250.0, 15.0)
    plain, disturbed = learn(made, [1], RATED)[1], learn([*made, wild], [1], RATED)[1]
    assert disturbed.kwh_per_km == pytest.approx(plain.kwh_per_km, rel=0.005)
    assert disturbed.trips == 60


def test_without_temperatures_the_last_trips_count_and_no_curve_is_used() -> None:
    found = learn(trips(1, 80, 1.1, celsius=None), [1], RATED)[1]
    assert not found.by_temperature
    assert found.kwh_per_km == pytest.approx(1.1, rel=0.04)
    assert expected(found, -20.0) == expected(found, 30.0)
    assert found.sigma(-20.0, 4.0) == found.sigma(30.0)


def test_nothing_is_learnt_from_nothing_and_nonsense_is_refused() -> None:
    assert learn([], [1], RATED) == {}
    with pytest.raises(ValueError, match="above zero"):
        learn([TripUse(1, 0.0, 10.0, 0.0)], [1], RATED)
