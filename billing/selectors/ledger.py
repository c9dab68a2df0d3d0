"""Read the ledger as series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
from django.db.models import Max, Min

from billing.models import Interval, Scenario
from billing.selectors.market import Market, market_on
from billing.tariff import LoadSeries, Notice, make_load
from depot.models import Depot, Quality
from depot.timegrid import TimeGrid
from depot.words import tr

Floats = npt.NDArray[np.float64]

COLUMNS = (
    "import_kwh",
    "export_kwh",
    "building_kwh",
    "solar_kwh",
    "charge_kwh",
    "discharge_kwh",
    "unmanaged_charge_kwh",
    "unmanaged_import_kwh",
    "unmanaged_export_kwh",
    "import_price_per_kwh",
    "export_price_per_kwh",
    "v2g_wear_cost",
)


@dataclass(frozen=True, slots=True)
class Ledger:
    """A span of the ledger: one array per column, NaN where no interval has been recorded."""

    grid: TimeGrid
    columns: dict[str, Floats]
    estimated: npt.NDArray[np.bool_]

    def kwh(self, column: str) -> Floats:
        return self.columns[column]

    def kw(self, column: str) -> Floats:
        return self.columns[column] / self.grid.step_hours

    def cost(self, scenario: str = Scenario.ACTUAL) -> Floats:
        """Return the energy cost of each interval at its frozen prices; export is a credit."""
        prefix = "" if scenario == Scenario.ACTUAL else "unmanaged_"
        bought = self.columns[f"{prefix}import_kwh"] * self.columns["import_price_per_kwh"]
        return bought - self.columns[f"{prefix}export_kwh"] * self.columns["export_price_per_kwh"]


def read_ledger(depot: Depot, start_at: datetime, end_at: datetime, names: Sequence[str] = COLUMNS) -> Ledger:
    """Return these columns of the ledger of `[start_at, end_at)`, from one query."""
    minutes = depot.step_minutes
    steps = max(0, int((end_at - start_at).total_seconds() // 60 // minutes))
    grid = TimeGrid(start_at, minutes, steps)
    columns = {name: np.full(steps, np.nan) for name in names}
    estimated = np.zeros(steps, dtype=bool)
    intervals = Interval.objects.filter(depot=depot, start_at__gte=start_at, start_at__lt=end_at)
    rows = list(intervals.values_list("start_at", "quality", *names))
    if rows:
        moments, qualities, *values = zip(*rows, strict=True)
        index = [(at - grid.start_at) // grid.step for at in moments]
        estimated[index] = [quality == Quality.ESTIMATED for quality in qualities]
        for name, column in zip(names, values, strict=True):
            columns[name][index] = np.array(column, dtype=np.float64)  # None becomes NaN
    return Ledger(grid, columns, estimated)


def load_of(
    depot: Depot, start_at: datetime, end_at: datetime, scenario: str, *, priced: bool = True
) -> LoadSeries | None:
    """Return a span of the ledger as a load to be billed, cut to what has been recorded; None when nothing was.

    `priced` adds the market's prices, where the depot follows any; those that are missing are estimated, and a
    notice says how many.
    """
    span = Interval.objects.filter(depot=depot, start_at__gte=start_at, start_at__lt=end_at).aggregate(
        first=Min("start_at"), last=Max("start_at")
    )
    if span["first"] is None:
        return None
    end_at = TimeGrid(span["last"], depot.step_minutes, 1).end_at
    prefix = "" if scenario == Scenario.ACTUAL else "unmanaged_"
    ledger = read_ledger(depot, span["first"], end_at, [f"{prefix}import_kwh", f"{prefix}export_kwh"])
    market = market_on(depot, ledger.grid) if priced else Market()
    load = make_load(
        ledger.grid.start_at,
        depot.step_minutes,
        ledger.kw(f"{prefix}import_kwh"),
        ledger.kw(f"{prefix}export_kwh"),
        import_price_per_kwh=market.import_per_kwh,
        export_price_per_kwh=market.export_per_kwh,
        estimated=ledger.estimated,
        written_in=depot.tz,
    )
    if market.stale_steps:
        words = tr(
            "{stale_steps} market prices are missing: those of the same weekday and hour were used.",
            stale_steps=market.stale_steps,
        )
        load = replace(load, notices=(*load.notices, Notice("stale_price", words)))
    return load
