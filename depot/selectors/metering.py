"""Read what the site's meters counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from depot.forecasting.registers import read_register, register_energy, touched
from depot.models import Depot, Meter, MeterReading, Quality
from depot.timegrid import TimeGrid

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
MARGIN = timedelta(hours=1)
OVERLOAD = 2.0
"""So many times what its node (or its solar inverters) carries a meter may count before it is not believed."""


@dataclass(frozen=True, slots=True)
class Metered:
    """Import and export of meters, in kWh per step; NaN where they did not read or cannot be believed.

    `estimated` are steps that the sender itself has estimated; `doubted` the meters whose readings were left
    out, by id.
    """

    imported: Floats
    exported: Floats
    estimated: Bools
    doubted: dict[int, Meter] = field(default_factory=dict)


def boundaries_of(grid: TimeGrid) -> Floats:
    """Return the boundaries of a grid in seconds since 1970."""
    edges: Floats = np.arange(grid.steps + 1, dtype=np.float64)
    return edges * grid.step_minutes * 60.0 + grid.start_at.timestamp()


def site_energy(depot: Depot, kind: str, grid: TimeGrid) -> Metered:
    """Return import and export of the depot's meters of one kind; without such a meter NaN throughout."""
    meters = list(depot.meters.filter(kind=kind).select_related("node"))
    if not meters:
        unknown = np.full(grid.steps, np.nan)
        return Metered(unknown, unknown, np.zeros(grid.steps, dtype=bool))
    inverters_kw = sum(array.inverter_kw for array in depot.solar_arrays.all()) if kind == "solar" else 0.0
    return _meter_energy(meters, grid, inverters_kw)


def greatest_kw(meter: Meter, inverters_kw: float = 0.0) -> float:
    """Return the greatest mean power, in kW, that is believed of a meter."""
    return OVERLOAD * max(meter.node.import_limit_kw, meter.node.export_limit_kw, inverters_kw)


def _meter_energy(meters: list[Meter], grid: TimeGrid, inverters_kw: float) -> Metered:
    """Return import and export of all `meters` together. A suspect reading counts nothing."""
    edges = boundaries_of(grid)
    rows = (
        MeterReading.objects.filter(
            meter__in=meters, observed_at__gte=grid.start_at - MARGIN, observed_at__lte=grid.end_at + MARGIN
        )
        .exclude(quality=Quality.SUSPECT)
        .order_by("meter_id", "observed_at")
        .values_list("meter_id", "observed_at", "import_kwh_total", "export_kwh_total", "quality")
    )
    by_meter: dict[int, list[tuple[float, float, float, bool]]] = {meter.pk: [] for meter in meters}
    for meter_id, at, import_total, export_total, quality in rows:
        guessed = quality == Quality.ESTIMATED
        by_meter[meter_id].append((at.timestamp(), import_total, export_total, guessed))
    sums = Metered(np.zeros(grid.steps), np.zeros(grid.steps), np.zeros(grid.steps, dtype=bool))
    for meter in meters:
        read_at, import_totals, export_totals, guesses = (
            np.array(by_meter[meter.pk], dtype=float).reshape(-1, 4).T
        )
        limit_kw = greatest_kw(meter, inverters_kw)
        imported, exported = (
            read_register(read_at, totals, limit_kw) for totals in (import_totals, export_totals)
        )
        sums.imported[:] += register_energy(imported, edges)
        sums.exported[:] += register_energy(exported, edges)
        moments = np.concatenate((imported.doubted, exported.doubted))
        if np.any((moments >= edges[0]) & (moments <= edges[-1])):
            sums.doubted[meter.pk] = meter
        guessed_ends = np.flatnonzero(guesses[:-1] + guesses[1:])
        sums.estimated[touched(read_at[guessed_ends], read_at[guessed_ends + 1], edges)] = True
    return sums
