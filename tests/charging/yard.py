"""A depot in the middle of its day: measured until now, planned after, with a vehicle in every situation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from billing.services.ledger import Measured, record
from charging.models import ChargingSession, Connector, MeterSample, Plan
from charging.services.planning import make_plan
from depot.models import Depot, Forecast, Meter, MeterReading
from depot.timegrid import TimeGrid, floor_to_step, local_day_bounds
from fleet.models import TelemetryReading, Vehicle, VehicleState
from tests.billing.money import make_tariff
from tests.factories import make_array, make_block, make_charger, make_type, make_vehicle

BUILDING_KW, CHARGE_KW = 40.0, 20.0


@dataclass(frozen=True, slots=True)
class Yard:
    """The depot, its vehicles by name, and its running plan."""

    depot: Depot
    vehicles: dict[str, Vehicle]
    plan: Plan


def make_yard(depot: Depot, now: datetime, buses: int = 3) -> Yard:
    """Fill `depot`: buses with two blocks a day, one van that may not discharge, meters, ledger, a real plan."""
    make_tariff(depot)
    make_array(depot)
    kind = make_type(depot)
    vehicles = {}
    for number in range(1, buses + 1):
        bus = make_vehicle(depot, f"Bus {number:02}", type=kind, soc=0.5, v2g_min_soc=0.2)
        vehicles[bus.name] = bus
        make_charger(depot, bus, connected=True, booted_at=now)
        make_block(depot, bus, f"{number}01 AM", depart_minute=365 + number, return_minute=500, energy_kwh=60)
        make_block(depot, bus, f"{number}02 PM", depart_minute=830 + number, return_minute=960, energy_kwh=55)
    van = make_vehicle(depot, "Van 01", type=kind, soc=0.6, v2g_enabled=False)
    make_charger(depot, van, connected=True, booted_at=now)
    make_block(depot, van, "300 day", depart_minute=425, return_minute=900, energy_kwh=70)
    vehicles[van.name] = van
    Connector.objects.update(status=Connector.Status.OCCUPIED)
    VehicleState.objects.update(observed_at=now, soc_observed_at=now)
    VehicleState.objects.filter(vehicle=van).update(plugged_in=False)
    _forecast(depot, now)
    _measure_site(depot, now)
    for vehicle in vehicles.values():
        _measure_vehicle(vehicle, depot, now, here=vehicle is not van)
    return Yard(depot, vehicles, make_plan(depot, now, "Every 15 minutes"))


def _past(depot: Depot, now: datetime) -> TimeGrid:
    midnight, _ = local_day_bounds(depot.local(now).date(), depot.tz)
    steps = int(
        (floor_to_step(now, depot.step_minutes) - midnight).total_seconds() // 60 // depot.step_minutes
    )
    return TimeGrid(midnight, depot.step_minutes, steps)


def _forecast(depot: Depot, now: datetime) -> None:
    start_at, _ = local_day_bounds(depot.local(now).date(), depot.tz)
    hours = np.arange(0, 72, 0.25) % 24
    solar = 90 * np.exp(-(((hours - 13) / 2.5) ** 2))
    for kind, power in (("solar", solar), ("building", np.full(hours.size, BUILDING_KW))):
        Forecast.objects.create(
            depot=depot,
            kind=kind,
            made_at=now,
            start_at=start_at,
            step_minutes=15,
            power_kw=[round(float(value), 2) for value in power],
            source="test",
        )


def _measure_site(depot: Depot, now: datetime) -> None:
    rows = [
        Measured(at, (BUILDING_KW + CHARGE_KW) / 4, 0.0, BUILDING_KW / 4, 0.0, CHARGE_KW / 4, 0.0)
        for at in _past(depot, now).times()
    ]
    record(depot, rows, now)
    powers = {Meter.Kind.GRID: -42.0, Meter.Kind.SOLAR: 61.0, Meter.Kind.BUILDING: 39.0}
    for meter in depot.meters.all():
        MeterReading.objects.create(
            meter=meter,
            observed_at=now - timedelta(seconds=12),
            received_at=now,
            power_kw=powers[meter.kind],
            import_kwh_total=1000,
        )


def _measure_vehicle(vehicle: Vehicle, depot: Depot, now: datetime, *, here: bool) -> None:
    """Charge at `CHARGE_KW` from 01:00 to 02:00, then be away from 06:00 until 09:00, or until now."""
    midnight, _ = local_day_bounds(depot.local(now).date(), depot.tz)
    connector = vehicle.connectors.get()
    left_at = midnight + timedelta(hours=6)
    night = ChargingSession.objects.create(
        connector=connector,
        vehicle=vehicle,
        transaction_id="night",
        plugged_in_at=midnight - timedelta(hours=6),
        unplugged_at=left_at,
    )
    total = 0.0
    for quarter in range(25):
        at = midnight + timedelta(minutes=15 * quarter)
        power = CHARGE_KW if 5 <= quarter <= 8 else 0.0
        total += power / 4
        _sample(night, at, power, total)
        TelemetryReading.objects.create(
            vehicle=vehicle, observed_at=at, received_at=at, source="charger", soc=0.4 + total / 200
        )
    if here:
        day = ChargingSession.objects.create(
            connector=connector,
            vehicle=vehicle,
            transaction_id="day",
            plugged_in_at=midnight + timedelta(hours=9),
        )
        _sample(day, now - timedelta(seconds=20), -15.0, 0.0)


def _sample(session: ChargingSession, at: datetime, power_kw: float, total_kwh: float) -> None:
    MeterSample.objects.create(
        session=session, sampled_at=at, received_at=at, power_kw=power_kw, import_kwh_total=total_kwh
    )
