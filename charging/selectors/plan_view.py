"""All that the Plan page shows of one plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from charging.models import Plan
from charging.selectors.lanes import Lane, lanes
from charging.selectors.measured import measured
from charging.selectors.plans import grid_of, later_price, running_plan, stored_kwh, unmanaged_of
from charging.selectors.site_now import SiteLimits, site_limits
from charging.selectors.timeline import (
    PeakSoFar,
    SitePower,
    Timeline,
    Window,
    demand_labels,
    peaks,
    site_power,
    timeline,
    windows,
)
from depot.charts import TimeAxis
from depot.models import Depot
from depot.timegrid import local_day_bounds
from depot.words import tr
from fleet.models import Vehicle
from fleet.selectors.duties import duties, duties_of_vehicle


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan on its day: the site's power and prices, a lane per vehicle, limits and peaks."""

    depot: Depot
    now: datetime
    line: Timeline
    power: SitePower
    windows: list[Window]
    peaks: list[PeakSoFar]
    limits: SiteLimits
    lanes: list[Lane]

    @property
    def plan(self) -> Plan:
        return self.line.plan

    @property
    def axis(self) -> TimeAxis:
        return TimeAxis(self.line.grid.start_at, self.line.grid.end_at, self.depot.tz)


@dataclass(frozen=True, slots=True)
class SiteView:
    """The site's power from midnight to midnight: the first `steps` of a timeline."""

    depot: Depot
    now: datetime
    line: Timeline
    power: SitePower
    steps: int

    @property
    def axis(self) -> TimeAxis:
        return TimeAxis(self.line.grid.start_at, self.line.grid.time_of(self.steps), self.depot.tz)


def site_view(depot: Depot, now: datetime, plan: Plan) -> SiteView:
    """Return the site's power of today, as far as the plan reaches."""
    line = timeline(plan, depot, now)
    _, midnight = local_day_bounds(depot.local(now).date(), depot.tz)
    steps = min(line.grid.steps, -((line.grid.start_at - midnight) // line.grid.step))
    return SiteView(depot, now, line, site_power(line, depot), steps)


def plan_view(depot: Depot, now: datetime) -> PlanView | None:
    """Return the running plan on its day, or None when no plan says what happens now."""
    plan = running_plan(depot, now)
    if plan is None:
        return None
    line = timeline(plan, depot, now)
    power = site_power(line, depot)
    labels = demand_labels(depot, line.grid)
    vehicles = (
        Vehicle.objects.filter(depot=depot, active=True).select_related("type", "state").order_by("name")
    )
    return PlanView(
        depot=depot,
        now=now,
        line=line,
        power=power,
        windows=windows(line, power, labels),
        peaks=peaks(line, labels),
        limits=site_limits(depot),
        lanes=lanes(
            line,
            vehicles,
            measured(depot, line.past),
            duties(depot, line.grid.start_at, line.grid.end_at),
        ),
    )


def vehicle_lane(
    depot: Depot, now: datetime, vehicle: Vehicle, plan: Plan | None
) -> tuple[Timeline, Lane] | None:
    """Return the timeline and the lane of one vehicle, or None when `plan` does not say what happens now."""
    if plan is None or grid_of(plan).end_at <= now:
        return None
    line = timeline(plan, depot, now)
    coming = duties_of_vehicle(depot, vehicle, line.grid.start_at, line.grid.end_at)
    return line, lanes(line, [vehicle], measured(depot, line.past), coming)[0]


@dataclass(frozen=True, slots=True)
class CostLine:
    """A part of the cost under both ways to charge; `difference` below zero is saved."""

    name: str
    unmanaged: float
    planned: float

    @property
    def difference(self) -> float:
        return self.planned - self.unmanaged


@dataclass(frozen=True, slots=True)
class Comparison:
    """A plan beside the same depot charging everything on arrival, over the same span."""

    lines: list[CostLine]
    total: CostLine
    peak: CostLine
    stored: CostLine
    stored_worth: float
    """What the energy left in the vehicles costs to buy later; below zero: the plan leaves less of it."""


def compare(plan: Plan, labels: dict[str, str]) -> Comparison:
    """Return both costs part by part; `labels` names the demand charges."""
    other, cost = unmanaged_of(plan), plan.answer["cost"]
    lines = [
        CostLine(tr("Energy bought"), other.cost.energy_import, cost["energy_import"]),
        CostLine(tr("Energy sold"), other.cost.energy_export, cost["energy_export"]),
        *(
            CostLine(labels.get(key, tr("Demand")), other.cost.demand.get(key, 0.0), amount)
            for key, amount in cost["demand"].items()
        ),
        CostLine(tr("Battery wear"), other.cost.wear, cost["wear"]),
    ]
    if plan.case.get("events"):
        lines.append(CostLine(tr("Grid programmes"), other.cost.programmes, cost["programmes"]))
    stored = CostLine(tr("Left in the vehicles at the end"), other.stored_kwh, stored_kwh(plan))
    return Comparison(
        lines,
        CostLine(tr("Together"), plan.unmanaged_cost, plan.objective),
        CostLine(tr("Highest import"), other.peak_kw, max(plan.answer["site"]["import_kw"])),
        stored,
        stored.difference * later_price(plan),
    )
