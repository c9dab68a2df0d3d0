"""What vehicles really did today: their power per step, and when they were plugged in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
from django.core.cache import cache
from django.db.models import Q

from charging.models import ChargingSession, MeterSample
from charging.selectors.energy import greatest_kw, group
from depot.models import Depot
from depot.selectors.metering import boundaries_of
from depot.timegrid import TimeGrid

Floats = npt.NDArray[np.float64]
Stay = tuple[datetime, datetime | None]
REMEMBERED_S = 3600


@dataclass(frozen=True, slots=True)
class Measured:
    """By vehicle id: mean power of each step in kW (+ charging, − discharging), and the times at a plug."""

    power_kw: dict[int, Floats]
    stays: dict[int, list[Stay]]


def measured(depot: Depot, grid: TimeGrid) -> Measured:
    """Return what the chargers measured on the closed steps of `grid`; from two queries, then remembered."""
    key = f"measured:{depot.pk}:{grid.start_at.timestamp():.0f}:{grid.step_minutes}:{grid.steps}"
    found: Measured | None = cache.get(key)
    if found is None:
        found = _measure(depot, grid)
        cache.set(key, found, REMEMBERED_S)
    return found


def _measure(depot: Depot, grid: TimeGrid) -> Measured:
    still_here = Q(unplugged_at__isnull=True) | Q(unplugged_at__gt=grid.start_at)
    sessions = ChargingSession.objects.filter(
        still_here, connector__charger__depot=depot, vehicle__isnull=False, plugged_in_at__lt=grid.end_at
    ).order_by("plugged_in_at")
    stays: dict[int, list[Stay]] = {}
    vehicle_of: dict[int, int] = {}
    limits: dict[int, float] = {}
    charger = "connector__charger__max"
    for pk, vehicle_id, plugged_in_at, unplugged_at, *ratings in sessions.values_list(
        "pk", "vehicle_id", "plugged_in_at", "unplugged_at", f"{charger}_charge_kw", f"{charger}_discharge_kw"
    ):
        vehicle_of[pk] = vehicle_id
        limits[pk] = greatest_kw(*ratings)
        stays.setdefault(vehicle_id, []).append((plugged_in_at, unplugged_at))
    power = {vehicle_id: np.zeros(grid.steps) for vehicle_id in stays}
    edges = boundaries_of(grid)
    margin = timedelta(hours=1)
    samples = MeterSample.objects.filter(
        session__in=list(limits), sampled_at__range=(grid.start_at - margin, grid.end_at + margin)
    )
    for session_id, readings in group(samples, limits):
        into, out = readings.counted("import", edges), readings.counted("export", edges)
        power[vehicle_of[session_id]] += (into.energy_kwh - out.energy_kwh) / grid.step_hours
    return Measured(power, stays)
