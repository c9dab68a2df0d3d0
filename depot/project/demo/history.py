"""Compute the demonstration's history: plan, physics, meters, ledger, bills and batteries, day by day.

Nothing is typed in. Each day is planned by the planner from what was known then, driven and charged by the
simulated physics, measured by the simulated meters, and put into the ledger by the same code that does it live.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
from django.db import transaction

from billing.services.bills import bill_month
from charging.models import ChargingSession, Connector, MeterSample
from charging.ocpp.simulator.physics import step_fleet
from charging.permission import charge_limit_kw, discharge_limit_kw
from charging.planner.plan import DepotPlan
from charging.services.planning import propose, refresh_forecasts
from charging.services.rollup import roll_up
from depot.models import Depot, Meter, MeterReading
from depot.project.demo import truth
from depot.timegrid import TimeGrid, floor_to_step, local_to_utc
from fleet.models import TelemetryReading, Vehicle, VehicleState
from fleet.selectors.duties import duties
from fleet.services.health import assess_fleet

Floats = npt.NDArray[np.float64]
Say = Callable[[float, str], None]
PLAN_MINUTES = (0, 9 * 60 + 30, 17 * 60 + 30)
"""At midnight, and when the morning and the afternoon runs are back: live, the depot re-plans every 15 minutes."""
START_SOC = 0.6
GAP = 3e-3
"""History is planned to within 0.3 % of the best possible: two months have to be lived through in minutes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What batteries and chargers allow, one value a vehicle: kWh, AC kW, efficiencies."""

    capacity_kwh: Floats
    charge_kw: Floats
    discharge_kw: Floats
    charge_efficiency: Floats
    discharge_efficiency: Floats


@dataclass(slots=True)
class Yard:
    """The physical depot: every vehicle's charge, where it is, and what the meters have counted so far."""

    vehicles: list[Vehicle]
    connectors: dict[int, Connector]
    limits: Limits
    soc: Floats
    sessions: dict[int, ChargingSession] = field(default_factory=dict)
    counted: dict[int, tuple[float, float]] = field(default_factory=dict)
    left_at: dict[int, datetime] = field(default_factory=dict)
    registers: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(slots=True)
class Records:
    """What a span of history leaves in the database."""

    samples: list[MeterSample] = field(default_factory=list)
    telemetry: list[TelemetryReading] = field(default_factory=list)
    readings: list[MeterReading] = field(default_factory=list)


def compute_history(depot: Depot, from_at: datetime, now: datetime, say: Say) -> None:
    """Live through the time from `from_at` to the last full step before `now`, and bill and assess it."""
    yard = open_yard(depot, from_at)
    end_at = floor_to_step(now, depot.step_minutes)
    moments = plan_moments(depot, from_at, end_at)
    for number, begin in enumerate(moments):
        until = moments[number + 1] if number + 1 < len(moments) else end_at
        live_through(depot, yard, begin, until)
        local, following = depot.local(begin), depot.local(until)
        if until < end_at and local.date() == following.date():
            continue
        say((number + 1) / len(moments) * 0.93, f"{local:%a %d %b}: planned, driven, charged, measured")
        if local.date() != following.date() and following.weekday() == 0:
            assess_fleet(depot, following.date() - timedelta(days=1), until)
    close_sessions(yard, end_at)
    say(0.95, "Closing the ledger and billing")
    roll_up(depot, end_at)
    first, last = depot.local(from_at).date(), depot.local(now).date()
    while (first.year, first.month) <= (last.year, last.month):
        bill_month(depot, first, now)
        first = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
    say(0.98, "Assessing batteries")
    assess_fleet(depot, last - timedelta(days=1), now)


def plan_moments(depot: Depot, from_at: datetime, end_at: datetime) -> list[datetime]:
    """Return when history re-plans: at fixed local times of each day."""
    day = depot.local(from_at).date()
    moments = [from_at]
    while True:
        for minute in PLAN_MINUTES:
            at = local_to_utc(day, minute, depot.tz)
            if at >= end_at:
                return moments
            if at > from_at:
                moments.append(at)
        day += timedelta(days=1)


def open_yard(depot: Depot, at: datetime) -> Yard:
    """Put every vehicle at its connector with 60 % charge, and the meters at zero."""
    rows = Connector.objects.filter(charger__depot=depot).select_related("charger")
    connectors = {row.vehicle_id: row for row in rows if row.vehicle_id is not None}
    vehicles = list(Vehicle.objects.filter(pk__in=list(connectors)).select_related("type"))
    for vehicle in vehicles:
        VehicleState.objects.create(
            vehicle=vehicle,
            observed_at=at,
            soc=START_SOC,
            soc_source="charger",
            soc_observed_at=at,
            plugged_in=True,
        )
    yard = Yard(vehicles, connectors, _limits(vehicles, connectors), np.full(len(vehicles), START_SOC))
    yard.registers = dict.fromkeys(Meter.Kind.values, (0.0, 0.0))
    records = Records(readings=_meter_rows(depot, yard, at, dict.fromkeys(Meter.Kind.values, 0.0)))
    for index in range(len(vehicles)):
        _plug_in(yard, index, at, records)
    _write(yard, records, at)
    return yard


def _limits(vehicles: list[Vehicle], connectors: dict[int, Connector]) -> Limits:
    pairs = [(vehicle, connectors[vehicle.pk].charger) for vehicle in vehicles]
    health = dict(VehicleState.objects.filter(vehicle__in=vehicles).values_list("vehicle_id", "soh"))
    return Limits(
        capacity_kwh=np.array([vehicle.type.usable_kwh * health[vehicle.pk] for vehicle in vehicles]),
        charge_kw=np.array([charge_limit_kw(vehicle, charger) for vehicle, charger in pairs]),
        discharge_kw=np.array([discharge_limit_kw(vehicle, charger) for vehicle, charger in pairs]),
        charge_efficiency=np.array([charger.charge_efficiency for _, charger in pairs]),
        discharge_efficiency=np.array([charger.discharge_efficiency for _, charger in pairs]),
    )


def live_through(depot: Depot, yard: Yard, begin: datetime, until: datetime) -> None:
    """Plan at `begin`, then let the physics run to `until`, and record what meters and vehicles said."""
    refresh_forecasts(depot, begin)
    setpoints_kw = _setpoints(yard, propose(depot, begin, gap=GAP).answer)
    yard.limits = _limits(yard.vehicles, yard.connectors)
    steps = int((until - begin).total_seconds() // 60 // depot.step_minutes)
    grid = TimeGrid(begin, depot.step_minutes, steps)
    away, used_kwh = _movements(depot, yard, grid)
    middles = [at + grid.step / 2 for at in grid.times()]
    sun, building = truth.solar_kw(depot, middles), truth.building_kw(depot, middles)
    records = Records()
    for step in range(steps):
        _move(yard, grid.time_of(step), away[:, step], records)
        power_kw = _flow(yard, setpoints_kw[:, step], away[:, step], used_kwh[:, step], grid.step_hours)
        at = grid.time_of(step + 1)
        _measure_vehicles(yard, at, power_kw, grid.step_hours, records)
        used = float(building[step] + power_kw.sum())
        produced = min(float(sun[step]), used + truth.EXPORT_LIMIT_KW)
        flows = {"solar": produced, "building": float(building[step]), "grid": used - produced}
        records.readings += _meter_rows(depot, yard, at, flows, grid.step_hours)
    _write(yard, records, until)
    roll_up(depot, until)


def _setpoints(yard: Yard, answer: DepotPlan) -> Floats:
    """Return the planned power of every vehicle and step, in kW, + charging."""
    rows = [answer.vehicles[str(vehicle.pk)] for vehicle in yard.vehicles]
    return np.array([row.charge_kw - row.discharge_kw for row in rows])


def _movements(depot: Depot, yard: Yard, grid: TimeGrid) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Return who is away in which step, and what a trip that ends in it took from the battery, in kWh."""
    index_of = {vehicle.pk: index for index, vehicle in enumerate(yard.vehicles)}
    away = np.zeros((len(yard.vehicles), grid.steps), dtype=bool)
    used_kwh = np.zeros((len(yard.vehicles), grid.steps))
    for duty in duties(depot, grid.start_at, grid.end_at):
        if duty.vehicle is None:
            continue
        begin = (duty.pull_out_at - grid.start_at) // grid.step
        end = -((grid.start_at - duty.pull_in_at) // grid.step)
        inside = slice(max(begin, 0), min(end, grid.steps))
        row = index_of[duty.vehicle.pk]
        away[row, inside] = True
        if end <= grid.steps:
            used_kwh[row, end - 1] += truth.trip_kwh(duty, duty.vehicle)
    return away, used_kwh


def _move(yard: Yard, at: datetime, away: npt.NDArray[np.bool_], records: Records) -> None:
    for index, vehicle in enumerate(yard.vehicles):
        if away[index] and vehicle.pk in yard.sessions:
            _unplug(yard, index, at)
        elif not away[index] and vehicle.pk not in yard.sessions:
            _plug_in(yard, index, at, records)


def _flow(
    yard: Yard, setpoint_kw: Floats, away: npt.NDArray[np.bool_], used_kwh: Floats, hours: float
) -> Floats:
    """Charge, discharge and drive for one step; return the power at each charger's grid side, in kW."""
    limits = yard.limits
    soc, power_kw = step_fleet(
        yard.soc,
        np.where(away, 0.0, setpoint_kw),
        hours * 3600.0,
        capacity_kwh=limits.capacity_kwh,
        max_charge_kw=limits.charge_kw,
        max_discharge_kw=limits.discharge_kw,
        charge_efficiency=limits.charge_efficiency,
        discharge_efficiency=limits.discharge_efficiency,
    )
    yard.soc = np.clip(soc - used_kwh / limits.capacity_kwh, 0.0, 1.0)
    return power_kw


def _plug_in(yard: Yard, index: int, at: datetime, records: Records) -> None:
    vehicle = yard.vehicles[index]
    soc = round(float(yard.soc[index]), 4)
    session = ChargingSession.objects.create(
        connector=yard.connectors[vehicle.pk],
        vehicle=vehicle,
        transaction_id=str(uuid.uuid4()),
        plugged_in_at=at,
        soc_in=soc,
        last_sample_at=at,
    )
    yard.sessions[vehicle.pk] = session
    yard.counted[vehicle.pk] = (0.0, 0.0)
    records.samples.append(
        MeterSample(
            session=session, sampled_at=at, received_at=at, power_kw=0.0, import_kwh_total=0.0, soc=soc
        )
    )
    records.telemetry.append(_telemetry(vehicle, at, soc, 0.0))


def _unplug(yard: Yard, index: int, at: datetime) -> None:
    vehicle = yard.vehicles[index]
    session = yard.sessions.pop(vehicle.pk)
    session.unplugged_at = at
    session.soc_out = round(float(yard.soc[index]), 4)
    session.import_kwh, session.export_kwh = yard.counted.pop(vehicle.pk)
    session.last_sample_at = at
    yard.left_at[vehicle.pk] = at
    session.save(update_fields=["unplugged_at", "soc_out", "import_kwh", "export_kwh", "last_sample_at"])


def _measure_vehicles(yard: Yard, at: datetime, power_kw: Floats, hours: float, records: Records) -> None:
    for index, vehicle in enumerate(yard.vehicles):
        session = yard.sessions.get(vehicle.pk)
        if session is None:
            continue
        power, soc = float(power_kw[index]), round(float(yard.soc[index]), 4)
        charged, discharged = yard.counted[vehicle.pk]
        charged, discharged = charged + max(power, 0.0) * hours, discharged + max(-power, 0.0) * hours
        yard.counted[vehicle.pk] = (charged, discharged)
        records.telemetry.append(_telemetry(vehicle, at, soc, power))
        records.samples.append(
            MeterSample(
                session=session,
                sampled_at=at,
                received_at=at,
                power_kw=power,
                import_kwh_total=charged,
                export_kwh_total=discharged,
                soc=soc,
            )
        )


def _telemetry(vehicle: Vehicle, at: datetime, soc: float, power_kw: float) -> TelemetryReading:
    return TelemetryReading(
        vehicle=vehicle,
        observed_at=at,
        received_at=at,
        source="charger",
        soc=soc,
        plugged_in=True,
        charging_power_kw=power_kw,
    )


def _meter_rows(
    depot: Depot, yard: Yard, at: datetime, flows_kw: dict[str, float], hours: float = 0.0
) -> list[MeterReading]:
    rows = []
    for meter in depot.meters.all():
        power_kw = float(flows_kw[meter.kind])
        imported, exported = yard.registers[meter.kind]
        imported, exported = imported + max(power_kw, 0.0) * hours, exported + max(-power_kw, 0.0) * hours
        yard.registers[meter.kind] = (imported, exported)
        rows.append(
            MeterReading(
                meter=meter,
                observed_at=at,
                received_at=at,
                power_kw=power_kw,
                import_kwh_total=imported,
                export_kwh_total=exported,
            )
        )
    return rows


def close_sessions(yard: Yard, at: datetime) -> None:
    """End every session, so that the live chargers begin their own; the vehicles stay plugged in."""
    for index, vehicle in enumerate(yard.vehicles):
        if vehicle.pk in yard.sessions:
            _unplug(yard, index, at)


def _write(yard: Yard, records: Records, at: datetime) -> None:
    """Write a span at once: what meters and vehicles said, and where every vehicle is now."""
    with transaction.atomic():
        MeterReading.objects.bulk_create(records.readings, batch_size=2000)
        MeterSample.objects.bulk_create(records.samples, batch_size=2000, ignore_conflicts=True)
        TelemetryReading.objects.bulk_create(records.telemetry, batch_size=2000, ignore_conflicts=True)
        for vehicle_id, session in yard.sessions.items():
            session.last_sample_at = at
            session.import_kwh, session.export_kwh = yard.counted[vehicle_id]
        ChargingSession.objects.bulk_update(
            list(yard.sessions.values()), ["last_sample_at", "import_kwh", "export_kwh"], batch_size=200
        )
        states = {state.vehicle_id: state for state in VehicleState.objects.filter(vehicle__in=yard.vehicles)}
        for index, vehicle in enumerate(yard.vehicles):
            state = states[vehicle.pk]
            state.plugged_in = vehicle.pk in yard.sessions
            state.observed_at = state.soc_observed_at = at if state.plugged_in else yard.left_at[vehicle.pk]
            state.soc = round(float(yard.soc[index]), 4)
        VehicleState.objects.bulk_update(
            list(states.values()), ["observed_at", "soc_observed_at", "soc", "plugged_in"], batch_size=200
        )
