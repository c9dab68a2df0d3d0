"""What a trip took, from what was said around it; nothing from what is old, doubtful or charged on the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fleet.demand.measured_trips import Said, TripMeasure, measure_trip

OUT = datetime(2026, 1, 12, 11, 0, tzinfo=UTC)
BACK = OUT + timedelta(hours=2)
HOME = Said(OUT - timedelta(minutes=5), soc=0.8, plugged_in=True, power_kw=0.0, odometer_km=1000.0)
ROAD = Said(OUT + timedelta(hours=1), soc=0.66, plugged_in=False, outside_temp_c=4.0)
LATE_ROAD = Said(OUT + timedelta(minutes=90), plugged_in=False, outside_temp_c=6.0)
THERE = Said(BACK + timedelta(minutes=10), soc=0.5, plugged_in=True, odometer_km=1050.0)


def measured(*said: Said, km: float | None = 48.0) -> TripMeasure | None:
    return measure_trip(said, OUT, BACK, km, 200.0)


def test_a_trip_is_the_fall_of_the_soc_the_odometer_and_the_temperature_on_the_way() -> None:
    found = measured(HOME, ROAD, LATE_ROAD, THERE)
    assert found is not None
    assert found.energy_kwh == pytest.approx(60)
    assert (found.distance_km, found.distance_source, found.energy_source) == (50.0, "odometer", "soc")
    assert found.outside_temp_c == pytest.approx(5)
    assert (found.out_at, found.in_at) == (HOME.at, THERE.at)


def test_without_an_odometer_the_schedule_says_how_far() -> None:
    home, there = replace(HOME, odometer_km=None), replace(THERE, odometer_km=None)
    found = measured(home, there)
    assert found is not None
    assert (found.distance_km, found.distance_source, found.outside_temp_c) == (48.0, "schedule", None)
    assert measured(home, there, km=None) is None
    reset = measured(HOME, replace(THERE, odometer_km=3.0))
    assert reset is not None
    assert reset.distance_source == "schedule"


def test_a_shallow_trip_takes_the_counter_that_agrees() -> None:
    home, there = replace(HOME, used_kwh_total=5000.0), replace(THERE, soc=0.77, used_kwh_total=5007.2)
    found = measured(home, there, km=8)
    assert found is not None
    assert (found.energy_kwh, found.energy_source) == (pytest.approx(7.2), "counter")
    assert (
        measured(home, replace(there, soc=0.5)) is None
    )  # 60 kWh by SoC, 7.2 by counter: one of them is wrong


def test_without_plug_messages_the_nearest_words_count() -> None:
    home, there = replace(HOME, plugged_in=None), replace(THERE, plugged_in=None)
    found = measured(home, ROAD, there)
    assert found is not None
    assert found.energy_kwh == pytest.approx(60)
    assert measured(home, ROAD, replace(there, at=BACK + timedelta(minutes=40))) is None


def test_who_leaves_and_returns_late_is_measured_as_it_was() -> None:
    late = replace(HOME, at=OUT + timedelta(minutes=20))
    found = measured(late, replace(THERE, at=BACK + timedelta(hours=1)))
    assert found is not None
    assert found.out_at == late.at


@pytest.mark.parametrize(
    "said",
    [
        [],
        [HOME],
        [THERE],
        [replace(HOME, at=OUT - timedelta(minutes=45)), THERE],  # stale
        [HOME, replace(THERE, at=BACK + timedelta(hours=4))],
        [replace(HOME, power_kw=60.0), THERE],  # charged 5 kWh more before it left
        [HOME, replace(ROAD, power_kw=50.0), THERE],  # charged on the way
        [HOME, replace(HOME, at=OUT + timedelta(minutes=55)), replace(THERE, at=OUT + timedelta(minutes=65))],
        [HOME, replace(THERE, soc=0.79)],  # below what a SoC can tell
        [HOME, replace(THERE, soc=0.85)],  # came back fuller
        [HOME, replace(THERE, odometer_km=1002.0)],  # hardly moved
        [HOME, replace(THERE, odometer_km=1006.0)],  # 10 kWh per km
    ],
    ids=str,
)
def test_what_says_nothing_of_a_trip_is_not_used(said: list[Said]) -> None:
    assert measured(*said) is None
