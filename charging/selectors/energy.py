"""What flowed through the chargers, from the registers of their sessions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import numpy.typing as npt
from django.db.models import OuterRef, Q, QuerySet, Subquery

from charging.models import ChargingSession, MeterSample
from depot.forecasting.registers import counted_energy
from depot.models import Depot
from depot.selectors.metering import boundaries_of
from depot.timegrid import TimeGrid
from fleet.selectors.wear import wear_costs

Floats = npt.NDArray[np.float64]
Registers = tuple[Floats, Floats, Floats]


def vehicle_energy(depot: Depot, grid: TimeGrid) -> tuple[Floats, Floats, Floats]:
    """Return energy into and out of all vehicles at the chargers' grid side, in kWh per step, and its wear cost.

    Wear is paid for what leaves the battery, so the losses of discharging count.
    """
    charge, discharge, wear = np.zeros(grid.steps), np.zeros(grid.steps), np.zeros(grid.steps)
    edges = boundaries_of(grid)
    costs = wear_costs(depot)
    sessions = sessions_on(depot, grid)
    known = {
        pk: (vehicle_id, efficiency)
        for pk, vehicle_id, efficiency in sessions.values_list(
            "pk", "vehicle_id", "connector__charger__discharge_efficiency"
        )
    }
    for session_id, (at, import_totals, export_totals) in registers(sessions, grid):
        vehicle_id, efficiency = known[session_id]
        out = counted_energy(at, export_totals, edges)
        charge += counted_energy(at, import_totals, edges)
        discharge += out
        wear += out / efficiency * costs.get(vehicle_id or 0, 0.0)
    return charge, discharge, wear


def sessions_on(depot: Depot, grid: TimeGrid) -> QuerySet[ChargingSession]:
    """Return the depot's sessions that touch the grid."""
    return ChargingSession.objects.filter(
        connector__charger__depot=depot, plugged_in_at__lt=grid.end_at
    ).exclude(unplugged_at__lt=grid.start_at)


def registers(sessions: QuerySet[ChargingSession], grid: TimeGrid) -> Iterator[tuple[int, Registers]]:
    """Yield each session with its readings on the grid: seconds since 1970, import and export kWh.

    The last reading before the grid belongs to them: what was counted since then flowed evenly.
    """
    earlier = MeterSample.objects.filter(session=OuterRef("pk"), sampled_at__lt=grid.start_at)
    last_before = dict(
        sessions.annotate(before=Subquery(earlier.order_by("-sampled_at").values("pk")[:1])).values_list(
            "pk", "before"
        )
    )
    margin = timedelta(minutes=grid.step_minutes * 2)
    rows = (
        MeterSample.objects.filter(session__in=list(last_before))
        .filter(
            Q(sampled_at__range=(grid.start_at, grid.end_at + margin))
            | Q(pk__in=[pk for pk in last_before.values() if pk is not None])
        )
        .order_by("session_id", "sampled_at")
        .values_list("session_id", "sampled_at", "import_kwh_total", "export_kwh_total")
    )
    readings: dict[int, list[tuple[float, float, float]]] = {}
    for session_id, at, import_total, export_total in rows:
        readings.setdefault(session_id, []).append((at.timestamp(), import_total, export_total))
    for session_id, values in readings.items():
        at, import_totals, export_totals = np.array(values, dtype=float).T
        yield session_id, (at, import_totals, export_totals)
