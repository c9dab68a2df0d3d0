"""How bad a trip may be is read from what happened between two charging sessions."""

from __future__ import annotations

from datetime import timedelta

from charging.bands import DEFAULT_EXTRA_SHARE, DEFAULT_LATE_STEPS, FEWEST_SAMPLES
from charging.models import ChargingSession
from charging.selectors.bands import trip_bands
from tests.charging.meters import make_bay
from tests.factories import NOW, make_block

DAYS = 24


def drive(connector, block, late_minutes=0, soc_used=0.33, days=DAYS):
    """Store sessions around each day's trip of the block: it leaves at 0.9 and is plugged in `late_minutes` late."""
    first = (NOW - timedelta(days=days)).date()
    trips = [first + timedelta(days=day) for day in range(days)]
    back_at, soc_in = NOW - timedelta(days=days + 1), 0.9
    for day in trips:
        ChargingSession.objects.create(
            connector=connector,
            vehicle=connector.vehicle,
            transaction_id=f"{connector.pk} {day}",
            plugged_in_at=back_at,
            unplugged_at=block.pull_out_at(day),
            soc_in=soc_in,
            soc_out=0.9,
        )
        back_at, soc_in = block.pull_in_at(day) + timedelta(minutes=late_minutes), 0.9 - soc_used
    ChargingSession.objects.create(
        connector=connector,
        vehicle=connector.vehicle,
        transaction_id=f"{connector.pk} now",
        plugged_in_at=back_at,
        soc_in=soc_in,
    )


def daily(depot, vehicle, block_id="101"):
    return make_block(depot, vehicle, block_id, weekdays=0b1111111, energy_kwh=60)


def test_without_a_history_the_documented_defaults_hold(depot):
    vehicle, _ = make_bay(depot)
    bands = trip_bands(depot, NOW, 15)
    block = daily(depot, vehicle)
    assert (bands.late_steps(block.pk), bands.extra_share(block.pk)) == (
        DEFAULT_LATE_STEPS,
        DEFAULT_EXTRA_SHARE,
    )


def test_a_trip_is_as_late_and_as_hungry_as_its_own_past(depot):
    vehicle, connector = make_bay(depot)
    block = daily(depot, vehicle)
    drive(connector, block, late_minutes=40, soc_used=0.36)
    bands = trip_bands(depot, NOW, 15)
    assert len(bands.blocks[block.pk].late_steps) == DAYS
    assert bands.late_steps(block.pk) == 3
    assert round(bands.extra_share(block.pk), 6) == 0.2


def test_a_block_with_little_past_is_as_bad_as_all_trips_of_the_depot(depot):
    vehicle, connector = make_bay(depot)
    drive(connector, daily(depot, vehicle), late_minutes=10)
    other, place = make_bay(depot, "Bus 02")
    new = daily(depot, other, "102")
    drive(place, new, late_minutes=70, days=2)
    bands = trip_bands(depot, NOW, 15)
    assert len(bands.blocks[new.pk].late_steps) < FEWEST_SAMPLES
    assert bands.late_steps(new.pk) == bands.late_steps(0)


def test_what_is_no_late_pull_in_does_not_count_as_one(depot):
    vehicle, connector = make_bay(depot)
    block = daily(depot, vehicle)
    drive(connector, block, late_minutes=7 * 60)
    assert trip_bands(depot, NOW, 15).all.late_steps == []


def test_two_trips_between_two_sessions_tell_nothing_of_either(depot):
    vehicle, connector = make_bay(depot)
    block = daily(depot, vehicle)
    make_block(depot, vehicle, "102", weekdays=0b1111111, depart_minute=530, return_minute=560)
    drive(connector, block, late_minutes=60)
    assert trip_bands(depot, NOW, 15).all.late_steps == []


def test_another_depots_sessions_are_not_looked_at(depot, other_depot):
    vehicle, connector = make_bay(other_depot)
    drive(connector, daily(other_depot, vehicle), late_minutes=60)
    assert trip_bands(depot, NOW, 15).all.late_steps == []
