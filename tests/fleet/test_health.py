"""Battery health from a vehicle's own history: chained day by day, V2G told apart, nothing counted twice."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import pytest

from depot import clock
from depot.models import Depot, Job
from fleet.battery.ageing import AgeingState
from fleet.jobs import assess_batteries
from fleet.models import BatteryHealth, TelemetryReading, Vehicle, VehicleState
from fleet.selectors.battery import fleet_batteries, health_history, recent_soc, standing_advice
from fleet.selectors.wear import type_wear_cost, wear_costs
from fleet.services.health import assess_fleet, assess_vehicle, read_history
from tests import factories

FIRST = date(2026, 3, 2)
MIDNIGHT = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)  # of FIRST in New York
QUARTER = timedelta(minutes=15)
pytestmark = pytest.mark.django_db


def drive(
    vehicle: Vehicle, days: int, *, v2g: bool = False, start: datetime = MIDNIGHT, top: float = 0.8
) -> None:
    """Write readings each quarter hour: charged at night to `top`, a run in the morning, V2G in the evening."""
    rows = []
    for index in range(days * 96 + 1):
        hour = index % 96 / 4
        evening = 0.45 if v2g and hour >= 20 else 0.55
        soc = _soc(hour, top, evening, v2g=v2g)
        on_road = 7 < hour <= 9
        giving = v2g and 18 < hour <= 20
        rows.append(
            TelemetryReading(
                vehicle=vehicle,
                observed_at=start + index * QUARTER,
                received_at=start + index * QUARTER,
                source="telematics" if on_road else "charger",
                soc=soc,
                plugged_in=None if index % 7 == 3 and not on_road and not 9 < hour <= 9.5 else not on_road,
                charging_power_kw=-10.0 if giving else 0.0,
            )
        )
    TelemetryReading.objects.bulk_create(rows)


def _soc(hour: float, top: float, evening: float, *, v2g: bool) -> float:
    if hour < 2:
        return 0.45 if v2g else 0.55
    if hour <= 7:
        low = 0.45 if v2g else 0.55
        return low + (top - low) * (hour - 2) / 5
    if hour <= 9:
        return top - (top - 0.55) * (hour - 7) / 2
    if v2g and 18 < hour <= 20:
        return 0.55 - 0.10 * (hour - 18) / 2
    return evening if hour > 20 else 0.55


@pytest.fixture
def vehicle(depot: Depot) -> Vehicle:
    return factories.make_vehicle(depot, in_service_on=FIRST)


def assess(vehicle: Vehicle, day_number: int) -> BatteryHealth:
    row = assess_vehicle(
        vehicle, FIRST + timedelta(days=day_number - 1), MIDNIGHT + timedelta(days=day_number)
    )
    assert row is not None
    return row


def test_without_readings_there_is_no_health(vehicle: Vehicle) -> None:
    assert assess_vehicle(vehicle, FIRST, MIDNIGHT) is None
    assert read_history(vehicle, None, MIDNIGHT) is None


def test_a_new_battery_after_a_week(vehicle: Vehicle) -> None:
    drive(vehicle, 7)
    row = assess(vehicle, 7)
    assert 0.99 < row.soh < 1
    assert row.soh == pytest.approx(1 - row.calendar_loss - row.cycling_loss)
    assert row.v2g_loss == row.v2g_throughput_kwh == row.v2g_outlook_per_year == 0
    assert row.equivalent_full_cycles == pytest.approx(7 * 0.25, rel=0.02)
    assert row.throughput_kwh == pytest.approx(7 * 0.25 * 200, rel=0.02)
    assert row.recorded_hours == 7 * 24 - 1  # one of these days lost an hour to the clock change
    assert 0 < row.outlook_per_year < row.trend_per_year  # power laws slow down
    vehicle.state.refresh_from_db()
    assert vehicle.state.soh == pytest.approx(row.soh)


def test_weeks_that_are_chained_give_what_they_give_in_one_go(vehicle: Vehicle) -> None:
    drive(vehicle, 21)
    for number in (7, 14):
        assess(vehicle, number)
    chained = assess(vehicle, 21)
    BatteryHealth.objects.all().delete()
    at_once = assess(vehicle, 21)
    for name in ("soh", "calendar_loss", "cycling_loss", "throughput_kwh", "equivalent_full_cycles"):
        assert getattr(chained, name) == pytest.approx(getattr(at_once, name), rel=0.01), name
    assert chained.recorded_hours == pytest.approx(21 * 24, abs=1.5)
    assert chained.hours_above_80 == pytest.approx(at_once.hours_above_80, abs=1)


def test_a_night_that_is_assessed_twice_changes_nothing(vehicle: Vehicle) -> None:
    drive(vehicle, 15)
    assess(vehicle, 7)
    once = assess(vehicle, 15)
    again = assess(vehicle, 15)
    assert (once.pk, once.soh, once.throughput_kwh) == (again.pk, again.soh, again.throughput_kwh)
    assert BatteryHealth.objects.count() == 2


def test_health_only_falls_once_a_full_week_is_known(vehicle: Vehicle) -> None:
    vehicle.in_service_on = FIRST - timedelta(days=400)
    vehicle.save()
    drive(vehicle, 20, v2g=True)
    soh = [assess(vehicle, number).soh for number in range(7, 21)]
    assert soh == sorted(soh, reverse=True)
    assert soh[0] < 0.99
    assert [row.soh for row in health_history(vehicle)] == soh


def test_v2g_is_told_apart_from_driving(depot: Depot) -> None:
    giver = factories.make_vehicle(depot, "Bus 01", in_service_on=FIRST)
    driver = factories.make_vehicle(depot, "Bus 02", type=giver.type, in_service_on=FIRST)
    drive(giver, 14, v2g=True)
    drive(driver, 14)
    for number in (7, 14):
        with_v2g, without = assess(giver, number), assess(driver, number)
    assert with_v2g.v2g_throughput_kwh == pytest.approx(14 * 0.10 * 200, rel=0.02)
    assert without.v2g_throughput_kwh == 0
    assert with_v2g.v2g_loss == pytest.approx(without.soh - with_v2g.soh, rel=0.4)
    assert with_v2g.v2g_outlook_per_year == pytest.approx(
        with_v2g.outlook_per_year - without.outlook_per_year, rel=0.3
    )


def test_the_charge_that_falls_on_the_road_is_not_v2g(vehicle: Vehicle) -> None:
    moments = [MIDNIGHT + number * QUARTER for number in range(4)]
    said = [(0.8, True, -20.0), (0.75, True, -20.0), (0.6, False, None), (0.5, None, None)]
    TelemetryReading.objects.bulk_create(
        TelemetryReading(
            vehicle=vehicle,
            observed_at=at,
            received_at=at,
            source="charger",
            soc=soc,
            plugged_in=plugged,
            charging_power_kw=power,
        )
        for at, (soc, plugged, power) in zip(moments, said, strict=True)
    )
    history = read_history(vehicle, None, MIDNIGHT + timedelta(days=1))
    assert history is not None and history.v2g_kwh is not None
    assert history.v2g_kwh.tolist() == pytest.approx([10, 0, 0])


def test_the_temperature_that_telematics_know_counts_and_an_impossible_one_does_not(vehicle: Vehicle) -> None:
    drive(vehicle, 1)
    assert set(read_history(vehicle, None, MIDNIGHT + timedelta(days=2)).profile.temperature_c) == {25.0}  # type: ignore[union-attr]
    rows = list(TelemetryReading.objects.order_by("observed_at"))
    for row, said in ((rows[0], 10.0), (rows[50], 215.0), (rows[96], 34.0)):
        row.battery_temp_c = said
        row.save()
    history = read_history(vehicle, None, MIDNIGHT + timedelta(days=2))
    assert history is not None
    assert history.profile.temperature_c[[0, 48, 96]].tolist() == pytest.approx([10, 22, 34])


def test_an_unsure_chemistry_keeps_both_models_and_shows_the_worse(depot: Depot) -> None:
    kind = factories.make_type(depot, chemistry="nmc")
    vehicle = factories.make_vehicle(depot, type=kind, in_service_on=FIRST)
    drive(vehicle, 14)
    assess(vehicle, 7)
    row = assess(vehicle, 14)
    states = {name: AgeingState(**state) for name, state in row.state.items()}
    assert len(states) == 2
    assert all(state.age_days == pytest.approx(14, abs=0.1) for state in states.values())
    assert states[row.model].capacity == min(state.capacity for state in states.values())


def test_another_chemistry_begins_anew(vehicle: Vehicle) -> None:
    drive(vehicle, 15)
    assess(vehicle, 7)
    vehicle.type.chemistry = "nmc622"
    vehicle.type.save()
    row = assess(Vehicle.objects.get(pk=vehicle.pk), 15)
    assert set(row.state) == {row.model}
    assert AgeingState(**row.state[row.model]).age_days == pytest.approx(15, abs=0.1)


def test_the_whole_fleet_is_assessed_at_night_and_says_how_far_it_is(depot: Depot, vehicle: Vehicle) -> None:
    factories.make_vehicle(depot, "Bus 02")
    factories.make_vehicle(depot, "Bus 03", active=False)
    drive(vehicle, 2)
    said: list[tuple[float, str]] = []
    assert assess_fleet(depot, FIRST, MIDNIGHT, lambda part, text: said.append((part, text))) == 1
    assert said == [(0.0, "Battery of Bus 01"), (0.5, "Battery of Bus 02")]


def test_the_nightly_job_assesses_yesterday(depot: Depot, vehicle: Vehicle, time_machine) -> None:  # type: ignore[no-untyped-def]
    drive(vehicle, 3)
    time_machine.move_to(MIDNIGHT + timedelta(days=3, hours=1, minutes=30), tick=False)
    job = Job(depot=depot, kind="health")
    assert assess_batteries(job, lambda *_: None) == {"vehicles": 1}
    assert BatteryHealth.objects.get().date == depot.local(clock.now()).date() - timedelta(days=1)


def test_the_planner_pays_the_type_s_price_until_the_vehicle_has_its_own(
    depot: Depot, vehicle: Vehicle
) -> None:
    price = type_wear_cost("lfp", 200, 150)
    assert 0.005 < price < 0.02
    assert type_wear_cost("lfp", 200, 300) == pytest.approx(2 * price, rel=0.01)
    assert wear_costs(depot) == {vehicle.pk: price}
    drive(vehicle, 7)
    BatteryHealth.objects.filter(pk=assess(vehicle, 7).pk).update(wear_cost_per_kwh=0.2)
    assert wear_costs(depot) == {vehicle.pk: 0.2}


def test_standing_full_is_what_the_advice_is_about(depot: Depot) -> None:
    kind = factories.make_type(depot, chemistry="nmc111")
    full = factories.make_vehicle(depot, "Bus 01", type=kind, in_service_on=FIRST)
    low = factories.make_vehicle(depot, "Bus 02", type=kind, in_service_on=FIRST)
    drive(full, 7, top=1.0)
    drive(low, 7, top=0.8)
    until = MIDNIGHT + timedelta(days=7)
    advice = {
        vehicle.name: standing_advice(assess(vehicle, 7), recent_soc(vehicle, until))
        for vehicle in (full, low)
    }
    assert advice["Bus 01"].hours_a_week > 10 and advice["Bus 01"].saved_per_year > 0  # type: ignore[union-attr]
    assert advice["Bus 02"].hours_a_week == pytest.approx(0, abs=0.1)  # type: ignore[union-attr]
    assert math.isclose(advice["Bus 02"].saved_per_year, 0, abs_tol=1e-9)  # type: ignore[union-attr]
    assert standing_advice(assess(full, 7), []) is None


def test_the_fleet_is_sorted_by_concern(depot: Depot) -> None:
    kind = factories.make_type(depot, warranty_throughput_kwh=10)
    fine = factories.make_vehicle(depot, "Bus 01", in_service_on=FIRST)
    beyond = factories.make_vehicle(depot, "Bus 02", type=kind, in_service_on=FIRST)
    for vehicle in (fine, beyond):
        drive(vehicle, 3)
        assess(vehicle, 2)
        assess(vehicle, 3)
    batteries = fleet_batteries(depot)
    assert [(row.vehicle, row.concern) for row in batteries] == [(beyond, "critical"), (fine, "ready")]
    assert batteries[0].health.date == FIRST + timedelta(days=2)
    assert batteries[0].warranty_share is not None and batteries[0].warranty_share > 1
    assert batteries[1].warranty_share is None
    assert batteries[0].short_history


def test_assessing_takes_few_queries(vehicle: Vehicle, django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    drive(vehicle, 14)
    assess(vehicle, 7)
    VehicleState.objects.filter(vehicle=vehicle).update(soh=1.0)
    with django_assert_max_num_queries(9):
        assess(vehicle, 14)
