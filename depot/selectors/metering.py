"""Read what the site's meters counted."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import numpy.typing as npt

from depot.forecasting.registers import register_energy
from depot.models import Depot, Meter, MeterReading
from depot.timegrid import TimeGrid

Floats = npt.NDArray[np.float64]
MARGIN = timedelta(hours=1)


def boundaries_of(grid: TimeGrid) -> Floats:
    """Return the boundaries of a grid in seconds since 1970."""
    edges: Floats = np.arange(grid.steps + 1, dtype=np.float64)
    return edges * grid.step_minutes * 60.0 + grid.start_at.timestamp()


def meter_energy(meters: list[Meter], grid: TimeGrid) -> tuple[Floats, Floats]:
    """Return import and export of all `meters` together, in kWh per step; NaN where they did not read."""
    imported, exported = np.zeros(grid.steps), np.zeros(grid.steps)
    edges = boundaries_of(grid)
    rows = (
        MeterReading.objects.filter(
            meter__in=meters, observed_at__gte=grid.start_at - MARGIN, observed_at__lte=grid.end_at + MARGIN
        )
        .order_by("meter_id", "observed_at")
        .values_list("meter_id", "observed_at", "import_kwh_total", "export_kwh_total")
    )
    by_meter: dict[int, list[tuple[float, float, float]]] = {meter.pk: [] for meter in meters}
    for meter_id, at, import_total, export_total in rows:
        by_meter[meter_id].append((at.timestamp(), import_total, export_total))
    for readings in by_meter.values():
        read_at, import_totals, export_totals = np.array(readings, dtype=float).reshape(-1, 3).T
        imported += register_energy(read_at, import_totals, edges)
        exported += register_energy(read_at, export_totals, edges)
    return imported, exported


def site_energy(depot: Depot, kind: str, grid: TimeGrid) -> tuple[Floats, Floats]:
    """Return import and export of the depot's meters of one kind, in kWh per step; NaN where unknown.

    Without such a meter both are NaN throughout.
    """
    meters = list(depot.meters.filter(kind=kind))
    if not meters:
        return np.full(grid.steps, np.nan), np.full(grid.steps, np.nan)
    return meter_energy(meters, grid)
