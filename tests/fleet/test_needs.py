"""What a duty takes from the battery, and the charge its vehicle must leave with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from depot.models import Depot
from fleet.models import Vehicle, VehicleState
from fleet.selectors.duties import duties
from fleet.selectors.needs import Need, need_of, needs_of
from tests import factories

FROM = datetime(2026, 3, 10, 5, 0, tzinfo=UTC)
DAY = timedelta(days=1)
pytestmark = pytest.mark.django_db


def the_need(depot: Depot, vehicle: Vehicle) -> Need:
    [need] = needs_of(duties(depot, FROM, FROM + DAY))[vehicle.pk]
    return need


def test_a_block_needs_its_distance_its_hours_minimum_and_reserve(depot: Depot) -> None:
    kind = factories.make_type(
        depot, usable_kwh=200, consumption_kwh_per_km=1.0, auxiliary_kw=2.0, min_soc=0.1, reserve_soc=0.1
    )
    vehicle = factories.make_vehicle(depot, type=kind)
    factories.make_block(depot, vehicle, distance_km=40)  # 06:30 to 08:45
    need = the_need(depot, vehicle)
    assert need.energy_kwh == pytest.approx(40 + 2 * 2.25)
    assert need.required_soc == pytest.approx(44.5 / 200 + 0.2)
    assert "44.5 kWh" in need.reason
    assert not need.exceeds_battery


def test_an_energy_given_by_the_schedule_replaces_the_estimate(depot: Depot) -> None:
    vehicle = factories.make_vehicle(depot)
    factories.make_block(depot, vehicle, distance_km=None, energy_kwh=60)
    assert the_need(depot, vehicle).energy_kwh == 60


def test_a_worn_battery_must_leave_fuller(depot: Depot) -> None:
    vehicle = factories.make_vehicle(depot)
    factories.make_block(depot, vehicle, energy_kwh=80)
    new = the_need(depot, vehicle).required_soc
    VehicleState.objects.update(soh=0.8)
    assert the_need(depot, vehicle).required_soc == pytest.approx(new + 80 / 200 * (1 / 0.8 - 1))


def test_a_vehicle_of_which_nothing_is_known_is_taken_as_new(depot: Depot) -> None:
    vehicle = factories.make_vehicle(depot, soc=None)
    factories.make_block(depot, vehicle, energy_kwh=80)
    assert the_need(depot, vehicle).required_soc == pytest.approx(0.6)


def test_the_schedule_may_ask_for_more_and_a_battery_may_be_too_small(depot: Depot) -> None:
    vehicle = factories.make_vehicle(depot)
    block = factories.make_block(depot, vehicle, energy_kwh=20, min_soc_departure=0.9)
    assert the_need(depot, vehicle).required_soc == 0.9
    block.energy_kwh = 500
    block.save()
    need = the_need(depot, vehicle)
    assert (need.required_soc, need.exceeds_battery) == (1.0, True)


def test_duties_without_a_vehicle_need_nothing_of_anybody(depot: Depot) -> None:
    one, other = factories.make_vehicle(depot, "Bus 01"), factories.make_vehicle(depot, "Bus 02")
    factories.make_block(depot, None, "100")
    factories.make_block(depot, one, "101")
    factories.make_block(depot, one, "102", depart_minute=830, return_minute=965)
    found = needs_of(duties(depot, FROM, FROM + DAY))
    assert {pk: [need.duty.block.block_id for need in needs] for pk, needs in found.items()} == {
        one.pk: ["101", "102"]
    }
    swapped = need_of(found[one.pk][0].duty, other)
    assert swapped.energy_kwh == pytest.approx(found[one.pk][0].energy_kwh)


def test_needs_ask_nothing_more_of_the_database(depot: Depot, django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    for number in range(4):
        factories.make_block(depot, factories.make_vehicle(depot, f"Bus {number:02}"), str(100 + number))
    coming = duties(depot, FROM, FROM + DAY)
    with django_assert_num_queries(0):
        assert len(needs_of(coming)) == 4
