"""Close intervals: meters and chargers into the ledger, then the counterfactual beside them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from billing.models import Interval
from billing.services.ledger import Measured, record
from charging.models import ChargingSession, MeterSample
from charging.services.baseline import update_baseline
from depot.forecasting.registers import counted_energy
from depot.models import Depot, Meter, MeterReading, Quality
from depot.selectors.metering import boundaries_of, site_energy
from depot.timegrid import TimeGrid, floor_to_step
from fleet.selectors.wear import wear_costs

Floats = npt.NDArray[np.float64]
PATIENCE = timedelta(hours=2)
AT_ONCE = 96 * 7


@dataclass(frozen=True, slots=True)
class Flows:
    """What flowed in each step, in kWh; NaN where a meter has not read yet. `wear_cost` in money."""

    imported: Floats
    exported: Floats
    building: Floats
    solar: Floats
    charge: Floats
    discharge: Floats
    wear_cost: Floats


def roll_up(depot: Depot, now: datetime) -> int:
    """Close every interval that is over and measured; return how many. Late meters are waited for, two hours."""
    grid = _open_span(depot, now)
    if grid is None:
        return 0
    flows = derive_missing(measure(depot, grid), has_solar=depot.solar_arrays.exists())
    known = np.isfinite(flows.imported) & np.isfinite(flows.building) & np.isfinite(flows.solar)
    patient = np.array([at + grid.step > now - PATIENCE for at in grid.times()])
    heard = _heard_to(depot, now)
    waiting = patient & (~known | np.array([at + grid.step > heard for at in grid.times()]))
    closable = int(np.argmax(waiting)) if waiting.any() else grid.steps
    rows = [_row(grid, flows, index, bool(known[index])) for index in range(closable)]
    closed = record(depot, rows, now)
    update_baseline(depot, now)
    return closed


def _open_span(depot: Depot, now: datetime) -> TimeGrid | None:
    """Return the steps since the last closed interval (or the first reading) that are over, a week at most."""
    newest = (
        Interval.objects.filter(depot=depot).order_by("-start_at").values_list("start_at", flat=True).first()
    )
    if newest is not None:
        start_at = newest + timedelta(minutes=depot.step_minutes)
    else:
        first = MeterReading.objects.filter(meter__depot=depot).order_by("observed_at").first()
        if first is None:
            return None
        start_at = floor_to_step(first.observed_at, depot.step_minutes)
    steps = int(
        (floor_to_step(now, depot.step_minutes) - start_at).total_seconds() // 60 // depot.step_minutes
    )
    return TimeGrid(start_at, depot.step_minutes, min(steps, AT_ONCE)) if steps > 0 else None


def measure(depot: Depot, grid: TimeGrid) -> Flows:
    """Return what the depot's meters and chargers counted on `grid`."""
    imported, exported = site_energy(depot, Meter.Kind.GRID, grid)
    building, _ = site_energy(depot, Meter.Kind.BUILDING, grid)
    solar, _ = site_energy(depot, Meter.Kind.SOLAR, grid)
    charge, discharge, wear_cost = vehicle_energy(depot, grid)
    return Flows(imported, exported, building, solar, charge, discharge, wear_cost)


def vehicle_energy(depot: Depot, grid: TimeGrid) -> tuple[Floats, Floats, Floats]:
    """Return energy into and out of all vehicles at the chargers' grid side, in kWh per step, and its wear cost."""
    charge, discharge, wear = np.zeros(grid.steps), np.zeros(grid.steps), np.zeros(grid.steps)
    edges = boundaries_of(grid)
    costs = wear_costs(depot)
    sessions = ChargingSession.objects.filter(
        connector__charger__depot=depot, plugged_in_at__lt=grid.end_at, samples__sampled_at__gte=grid.start_at
    ).distinct()
    vehicle_of = dict(sessions.values_list("pk", "vehicle_id"))
    margin = timedelta(minutes=grid.step_minutes * 2)
    rows = (
        MeterSample.objects.filter(
            session__in=list(vehicle_of),
            sampled_at__gte=grid.start_at - margin,
            sampled_at__lte=grid.end_at + margin,
        )
        .order_by("session_id", "sampled_at")
        .values_list("session_id", "sampled_at", "import_kwh_total", "export_kwh_total")
    )
    readings: dict[int, list[tuple[float, float, float]]] = {}
    for session_id, at, import_total, export_total in rows:
        readings.setdefault(session_id, []).append((at.timestamp(), import_total, export_total))
    for session_id, values in readings.items():
        at, import_totals, export_totals = np.array(values, dtype=float).T
        out = counted_energy(at, export_totals, edges)
        charge += counted_energy(at, import_totals, edges)
        discharge += out
        wear += out * costs.get(vehicle_of[session_id] or 0, 0.0)
    return charge, discharge, wear


def derive_missing(flows: Flows, *, has_solar: bool) -> Flows:
    """Fill a meter that is not there from the others: import - export = building - solar + charge - discharge."""
    solar = flows.solar if has_solar else np.nan_to_num(flows.solar)
    vehicles = flows.charge - flows.discharge
    building = np.where(
        np.isnan(flows.building), flows.imported - flows.exported + solar - vehicles, flows.building
    )
    net = building - solar + vehicles
    return Flows(
        imported=np.where(np.isnan(flows.imported), np.clip(net, 0.0, None), flows.imported),
        exported=np.where(np.isnan(flows.exported), np.clip(-net, 0.0, None), flows.exported),
        building=building,
        solar=solar,
        charge=flows.charge,
        discharge=flows.discharge,
        wear_cost=flows.wear_cost,
    )


def _heard_to(depot: Depot, now: datetime) -> datetime:
    """Return the moment up to which every open session has spoken."""
    open_sessions = ChargingSession.objects.filter(connector__charger__depot=depot, unplugged_at__isnull=True)
    last = [row or now for row in open_sessions.values_list("last_sample_at", flat=True)]
    return min([now, *last])


def _row(grid: TimeGrid, flows: Flows, index: int, known: bool) -> Measured:
    def kwh(series: Floats) -> float:
        value = float(series[index])
        return round(max(value, 0.0), 6) if np.isfinite(value) else 0.0

    return Measured(
        start_at=grid.time_of(index),
        import_kwh=kwh(flows.imported),
        export_kwh=kwh(flows.exported),
        building_kwh=kwh(flows.building),
        solar_kwh=kwh(flows.solar),
        charge_kwh=kwh(flows.charge),
        discharge_kwh=kwh(flows.discharge),
        wear_cost=kwh(flows.wear_cost),
        quality=Quality.GOOD if known else Quality.ESTIMATED,
    )
