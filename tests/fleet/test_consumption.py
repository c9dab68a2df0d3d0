"""From what vehicles said on their trips to what each uses: only good data, incremental, scoped, in few queries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
import time_machine

from charging.assemble import assemble
from depot.jobs.registry import KINDS
from depot.models import Depot, Job
from depot.timegrid import days
from fleet.demand.energy import DEFAULT_CURVE, energy_needed
from fleet.models import (
    DayTemperature,
    LearntConsumption,
    MeasuredTrip,
    TelemetryReading,
    Vehicle,
    VehicleState,
    VehicleType,
)
from fleet.selectors.consumption import consumption_book, learnt_of
from fleet.selectors.duties import duties
from fleet.selectors.needs import Need, needs_of
from fleet.services.consumption import learn_consumption
from tests.factories import make_block, make_charger, make_type, make_vehicle

pytestmark = pytest.mark.django_db

FIRST, LAST = date(2026, 1, 5), date(2026, 3, 8)
NIGHT = datetime(2026, 3, 9, 6, 15, tzinfo=UTC)
KM = 60.0


def temperature(day: date) -> float:
    return -4.0 + 0.3 * (day - FIRST).days


def drive(
    vehicle: Vehicle,
    per_km: float,
    *,
    first: date = FIRST,
    last: date = LAST,
    told: bool = True,
    quality: str = "good",
    spread: float = 0.05,
) -> None:
    """Let a vehicle tell what a trip from 06:30 to 08:45 took on each weekday; `told` with the temperature."""
    random = np.random.default_rng(int(vehicle.name[-2:]))
    rows: list[TelemetryReading] = []
    odometer = 1000.0
    block = make_block(vehicle.depot, vehicle, f"B{vehicle.pk}", distance_km=KM)
    for day in days(first, last):
        if day.weekday() > 4:
            continue
        factor = DEFAULT_CURVE.factor(temperature(day)) if told else 1.0
        kwh = KM * per_km * factor * float(np.exp(random.normal(0, spread)))
        out, back = block.pull_out_at(day), block.pull_in_at(day)
        rows += [
            said(
                vehicle, out - timedelta(minutes=4), quality, soc=0.9, plugged_in=True, odometer_km=odometer
            ),
            said(
                vehicle,
                out + timedelta(hours=1),
                quality,
                plugged_in=False,
                outside_temp_c=temperature(day) if told else None,
            ),
            said(
                vehicle,
                back + timedelta(minutes=3),
                quality,
                soc=0.9 - kwh / vehicle.capacity_kwh,
                plugged_in=True,
                odometer_km=odometer + KM,
            ),
        ]
        odometer += KM
    TelemetryReading.objects.bulk_create(rows)


def said(vehicle: Vehicle, at: datetime, quality: str, **values: object) -> TelemetryReading:
    return TelemetryReading(
        vehicle=vehicle, observed_at=at, received_at=at, source="telematics", quality=quality, **values
    )


@pytest.fixture
def buses(depot: Depot) -> Sequence[Vehicle]:
    kind = make_type(depot, usable_kwh=300)
    return [make_vehicle(depot, name, type=kind) for name in ("Bus 01", "Bus 02", "Bus 03")]


def test_a_winter_of_trips_tells_what_each_vehicle_uses(depot: Depot, buses: Sequence[Vehicle]) -> None:
    drive(buses[0], 1.0)
    drive(buses[1], 1.2)
    night = learn_consumption(depot, LAST, NIGHT)
    assert (night.trips, night.vehicles, night.until) == (90, 3, "2026-03-08")
    rows = {row.vehicle_id: row for row in LearntConsumption.objects.filter(date=LAST)}
    one, other, idle = (rows[bus.pk] for bus in buses)
    for row, truth in ((one, 1.0), (other, 1.2)):
        at_8_c = energy_needed(1.0, learnt_of(row).consumption(0.0), 8.0).total_kwh
        assert at_8_c == pytest.approx(truth * DEFAULT_CURVE.factor(8.0), rel=0.04)
    assert one.kwh_per_km < idle.kwh_per_km < other.kwh_per_km
    assert (one.trips, idle.trips, idle.fleet_trips) == (45, 0, 90)
    assert one.spread == pytest.approx(0.06, abs=0.02)
    trip = MeasuredTrip.objects.earliest("pull_out_at")
    assert (trip.distance_source, trip.energy_source) == ("odometer", "soc")
    assert trip.outside_temp_c == pytest.approx(-4.0)
    monday = consumption_book(depot, date(2026, 3, 9), date(2026, 3, 10)).weather(date(2026, 3, 9))
    assert monday is not None
    assert monday.outside_temp_c == pytest.approx(
        np.mean([temperature(date(2026, 3, day)) for day in (4, 5, 6)])
    )


def test_flagged_readings_teach_nothing(depot: Depot, buses: Sequence[Vehicle]) -> None:
    drive(buses[0], 3.0, quality="suspect")
    assert learn_consumption(depot, LAST, NIGHT).vehicles == 0
    assert not LearntConsumption.objects.exists()
    assert not MeasuredTrip.objects.exists()


def test_a_night_measures_only_the_last_days_and_takes_late_data(
    depot: Depot, buses: Sequence[Vehicle]
) -> None:
    drive(buses[0], 1.0)
    late = TelemetryReading.objects.filter(observed_at__gte=datetime(2026, 3, 6, tzinfo=UTC))
    kept = list(late)
    late.delete()
    assert learn_consumption(depot, date(2026, 3, 6), NIGHT - timedelta(days=2)).trips == 44
    Job.objects.create(
        depot=depot, kind="consumption", window="2026-03-07", state="done", due_at=NIGHT, created_at=NIGHT,
        result={"until": "2026-03-06"},
    )  # fmt: skip
    TelemetryReading.objects.bulk_create(kept)
    assert learn_consumption(depot, LAST, NIGHT).trips == 4
    assert MeasuredTrip.objects.count() == 45
    assert LearntConsumption.objects.filter(vehicle=buses[0]).count() == 2
    assert learn_consumption(depot, LAST, NIGHT).trips == 4
    assert MeasuredTrip.objects.count() == 45
    assert LearntConsumption.objects.filter(vehicle=buses[0]).count() == 2


def test_without_temperatures_trips_still_teach(depot: Depot, buses: Sequence[Vehicle]) -> None:
    drive(buses[0], 1.3, told=False)
    learn_consumption(depot, LAST, NIGHT)
    row = LearntConsumption.objects.get(vehicle=buses[0])
    assert row.kwh_per_km == pytest.approx(1.3, rel=0.05)
    assert (row.mean_temp_c, DayTemperature.objects.count()) == (None, 0)


def test_a_day_tells_the_vehicles_that_have_no_thermometer(depot: Depot, buses: Sequence[Vehicle]) -> None:
    drive(buses[0], 1.0)
    drive(buses[1], 1.0, told=False)
    learn_consumption(depot, LAST, NIGHT)
    assert LearntConsumption.objects.get(vehicle=buses[1]).trips > 40


def test_other_depots_teach_nothing(depot: Depot, other_depot: Depot, buses: Sequence[Vehicle]) -> None:
    drive(make_vehicle(other_depot, "Stranger 09"), 2.0)
    assert learn_consumption(depot, LAST, NIGHT).vehicles == 0
    assert learn_consumption(other_depot, LAST, NIGHT).vehicles == 1
    assert consumption_book(depot, LAST, LAST).learnt == {}


def test_what_was_learnt_long_ago_is_not_planned_with(depot: Depot, buses: Sequence[Vehicle]) -> None:
    drive(buses[0], 1.0)
    learn_consumption(depot, LAST, NIGHT)
    assert len(consumption_book(depot, LAST, LAST + timedelta(days=1)).learnt) == 3
    assert consumption_book(depot, LAST, LAST + timedelta(days=31)).learnt == {}


def test_a_night_takes_few_queries(
    depot: Depot,
    buses: Sequence[Vehicle],
    django_assert_max_num_queries,  # type: ignore[no-untyped-def]
) -> None:
    for bus in buses:
        drive(bus, 1.0, first=date(2026, 3, 2))
    with django_assert_max_num_queries(24):
        learn_consumption(depot, LAST, NIGHT)


# --- from trips to what a block needs


def coming(depot: Depot, bus: Vehicle) -> Need:
    monday = datetime(2026, 3, 9, 5, 0, tzinfo=UTC)
    return needs_of(duties(depot, monday, monday + timedelta(hours=18)))[bus.pk][0]


def test_a_block_needs_what_its_vehicle_was_seen_to_use(depot: Depot, buses: Sequence[Vehicle]) -> None:
    drive(buses[0], 1.2)
    before = coming(depot, buses[0])
    assert "60 km × 0.90 kWh/km (as entered for its type) = 54.0 kWh (18 % of 300 kWh)" in before.reason
    learn_consumption(depot, LAST, NIGHT)
    need = coming(depot, buses[0])
    told = np.mean([temperature(date(2026, 3, day)) for day in (4, 5, 6)])
    truth = KM * 1.2 * DEFAULT_CURVE.factor(float(told))
    assert need.energy_kwh == pytest.approx(truth, rel=0.04)
    assert f"kWh/km (45 trips, at {told:.0f} °C, as lately) = {need.energy_kwh:.1f} kWh" in need.reason
    margin_soc = need.required_soc - need.energy_kwh / 300 - 0.2
    assert 0.01 < margin_soc < 0.06
    assert f"+ minimum 10 % + reserve {100 * (0.1 + margin_soc):.0f} %." in need.reason


def test_a_colder_day_that_somebody_expects_needs_more(depot: Depot, buses: Sequence[Vehicle]) -> None:
    drive(buses[0], 1.0)
    learn_consumption(depot, LAST, NIGHT)
    mild = coming(depot, buses[0])
    DayTemperature.objects.create(depot=depot, date=date(2026, 3, 9), outside_temp_c=-3.0, source="entered")
    cold = coming(depot, buses[0])
    assert cold.energy_kwh > 1.3 * mild.energy_kwh
    assert "at -3 °C)" in cold.reason


def test_fewer_trips_keep_a_wider_reserve(depot: Depot, buses: Sequence[Vehicle]) -> None:
    drive(buses[0], 1.0)
    drive(buses[1], 1.0, first=date(2026, 3, 6))
    make_block(depot, buses[2], "idle", distance_km=KM)
    learn_consumption(depot, LAST, NIGHT)
    reserves = [need.required_soc - need.energy_kwh / 300 for need in (coming(depot, bus) for bus in buses)]
    assert reserves[0] < reserves[1] < reserves[2]


def test_an_energy_in_the_schedule_wins(depot: Depot, buses: Sequence[Vehicle]) -> None:
    drive(buses[0], 1.2)
    buses[0].blocks.update(energy_kwh=90)
    learn_consumption(depot, LAST, NIGHT)
    need = coming(depot, buses[0])
    assert (need.energy_kwh, need.required_soc) == (90, pytest.approx(0.5))
    assert need.reason.startswith("50 % because the energy in the schedule = 90.0 kWh")


def test_pre_conditioning_is_kept_ready_where_a_block_asks_for_it(
    depot: Depot, buses: Sequence[Vehicle]
) -> None:
    make_block(depot, buses[0], distance_km=KM)
    plain = coming(depot, buses[0]).energy_kwh
    buses[0].blocks.update(precondition=True)
    VehicleType.objects.update(preconditioning_kwh=6)
    need = coming(depot, buses[0])
    assert need.energy_kwh == pytest.approx(plain + 6)
    assert "+ 6.0 kWh pre-conditioning" in need.reason


def test_the_case_of_the_planner_asks_for_what_was_learnt(depot: Depot, buses: Sequence[Vehicle]) -> None:
    """Simulated trips -> nightly job -> energy of the block -> target and use in the planner's case."""
    drive(buses[0], 1.2)
    make_charger(depot, buses[0], connected=True)
    at = datetime(2026, 3, 9, 7, 0, tzinfo=UTC)
    VehicleState.objects.update(observed_at=at, soc_observed_at=at)
    with time_machine.travel(at, tick=False):
        job = Job.objects.create(
            depot=depot, kind="consumption", window="2026-03-09", due_at=at, created_at=at
        )
        assert KINDS["consumption"].window(depot, at) == "2026-03-09"
        result = KINDS["consumption"].run(job, lambda done, words: None)
        assert result == {"trips": 45, "vehicles": 3, "until": "2026-03-08"}
        case = assemble(depot, at).case
    need = coming(depot, buses[0])
    [row] = case["vehicles"]
    away, target = row["away"][0], row["targets"][0]
    assert away["energy_kwh"] == pytest.approx(need.energy_kwh, abs=1e-3)
    assert target["soc"] == pytest.approx(need.required_soc, abs=2e-4)
    truth = KM * 1.2 * DEFAULT_CURVE.factor(9.0)
    assert away["energy_kwh"] > 1.1 * KM * 0.9
    assert away["energy_kwh"] == pytest.approx(truth, rel=0.2)
