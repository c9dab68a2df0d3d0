"""What the next kilowatt-hour and the next kilowatt cost: prices for the planner."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from billing.models import Scenario
from billing.selectors.ledger import load_of
from billing.selectors.tariffs import parsed, tariff_on
from billing.tariff import TariffError, demand_case, peaks_so_far, price_curve
from depot.models import Depot
from depot.timegrid import TimeGrid, month_bounds

CASE_FIELDS = ("id", "price_per_kw", "window", "period", "billed_kw_so_far", "metering_minutes")


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of a planner case, the labels of its demand charges, and what is wrong with them."""

    import_per_kwh: list[float]
    export_per_kwh: list[float]
    demand_charges: list[dict[str, Any]] = field(default_factory=list)
    demand_labels: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def prices_for(depot: Depot, grid: TimeGrid, now: datetime) -> Prices:
    """Return the prices of `grid`, with the demand peaks that this billing period has already set."""
    row = tariff_on(depot, depot.local(grid.start_at).date())
    if row is None:
        zeros = [0.0] * grid.steps
        return Prices(
            zeros, zeros, warnings=["No tariff is valid today: the plan takes power as free. Enter one."]
        )
    try:
        tariff = parsed(row)
        curve = price_curve(tariff, grid.start_at, grid.steps, grid.step_minutes, time_zone=depot.tz)
    except TariffError as error:
        zeros = [0.0] * grid.steps
        return Prices(zeros, zeros, warnings=[f"Tariff {row.name} cannot be used: {error}"])
    month_start, _ = month_bounds(depot.local(now).date(), depot.tz)
    load = load_of(depot, month_start, grid.start_at, Scenario.ACTUAL)
    peaks = peaks_so_far(tariff, load, time_zone=depot.tz) if load else None
    charges = demand_case(curve, peaks)
    return Prices(
        import_per_kwh=[round(float(value), 6) for value in curve.import_per_kwh],
        export_per_kwh=[round(float(value), 6) for value in curve.export_per_kwh],
        demand_charges=[{name: charge[name] for name in CASE_FIELDS} for charge in charges],
        demand_labels={charge["id"]: charge["label"] for charge in charges},
    )
