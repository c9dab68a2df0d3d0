"""Measure planning in a loop: plan, let the day go wrong, plan again; beside one plan of the week that knew all.

Physics and the guard of limits and peaks are pure code. Nothing here touches the database.
"""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from charging.guard import MARGIN, Load, Site, ceilings
from charging.peak_outlook import DAYS as OUTLOOK_DAYS
from charging.peak_outlook import end_targets, expecting, look_ahead
from charging.planner.case import DepotCase, case_from_json
from charging.planner.plan import DepotPlan
from charging.planner.solve import solve
from charging.planner.verify import verify
from charging.planner.warm import LastPlan
from depot.project.benchmarks.week import (
    DAY,
    EFFICIENCY,
    FACILITY_PER_KW,
    HOURS,
    ON_PEAK_PER_KW,
    Bus,
    FloatArray,
    Trip,
    Week,
    case_of,
    demand_charges,
    forecast_of,
    random_week,
    vehicle_of,
)

WEEKS = 20
DAYS = 7
VEHICLES = (5, 12)
HORIZON = 36 * 4
OUTLOOK = OUTLOOK_DAYS * DAY
PLANNED_SHARE = 0.95
"""Of the site's limits a plan uses this much, as charging.assemble does."""
CHANGE_PRICE_SHARE = 0.02
PLAN_SECONDS, WEEK_SECONDS = 1.5, 120.0
GAP, WEEK_GAP = 1e-3, 1e-3
SAME_KWH = 0.1
SAME_KW = 0.01
END_PRICE = 100.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How the loop plans: with the bad day, the last plan's powers and the outlook or without."""

    bad_day: bool = True
    last_plan: bool = True
    outlook: bool = True


@dataclass(frozen=True, slots=True)
class LoopFigure:
    """One week: departures that perfect foresight met, those of them that the loop met too, and both costs.

    `lost` names the others. `broken` names limits that were broken by charging or discharging.
    """

    week: str
    vehicles: int
    departures: int
    foresight_met: int
    met: int
    lost: tuple[str, ...]
    cost: float
    foresight_cost: float
    cost_ratio: float
    foresight_gap: float
    plans: int
    fallbacks: int
    unsound: int
    largest_gap: float
    plan_seconds: float
    changed_kw: float
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoopTotal:
    """All weeks together: departures that perfect foresight meets and those met, costs, and the worst week's ratio."""

    weeks: int
    feasible: int
    met: int
    cost: float
    foresight_cost: float
    cost_ratio: float
    worst_ratio: float


@dataclass(slots=True)
class _Run:
    """What has happened so far in a week."""

    energy_kwh: dict[str, float]
    billed_kw: dict[str, float]
    expected_kw: dict[tuple[str, int], float] = field(default_factory=dict)
    cost: float = 0.0
    changed_kw: float = 0.0
    missing_kwh: dict[tuple[str, int], float] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    net_kw: dict[str, float] = field(default_factory=dict)
    plans: list[tuple[str, float, float, bool]] = field(default_factory=list)


def measure(
    weeks: int,
    seed: int,
    settings: Settings = Settings(),
    days: int = DAYS,
    vehicles: tuple[int, int] = VEHICLES,
) -> Iterator[LoopFigure]:
    """Yield the figure of each random week of random depots."""
    for number in range(weeks):
        yield run_week(random_week(number, seed, vehicles, days * DAY, HORIZON), settings)


def run_week(week: Week, settings: Settings) -> LoopFigure:
    """Return what planning again and again makes of a week, beside perfect foresight."""
    run = _Run({bus.id: bus.initial_soc * bus.capacity_kwh for bus in week.buses}, dict(week.billed_kw))
    plan, seconds = None, 0.0
    for step in range(week.steps):
        started = time.perf_counter()
        plan = _planned(week, run, step, settings, plan)
        seconds += time.perf_counter() - started
        _step(week, run, step, plan)
    run.cost += _demand_cost(week, run.billed_kw)
    foresight = solve(_truth(week, run), WEEK_SECONDS, tidy=False, gap=WEEK_GAP)
    missed = {(item.vehicle, item.boundary) for item in foresight.shortfalls if item.missing_kwh > SAME_KWH}
    could = [key for key in run.missing_kwh if key not in missed]
    lost = [
        f"{name} at step {step}: {run.missing_kwh[name, step]:.1f} kWh"
        for name, step in could
        if run.missing_kwh[name, step] > SAME_KWH
    ]
    return LoopFigure(
        week=week.name,
        vehicles=len(week.buses),
        departures=len(run.missing_kwh),
        foresight_met=len(could),
        met=len(could) - len(lost),
        lost=tuple(lost),
        cost=run.cost,
        foresight_cost=foresight.objective,
        cost_ratio=run.cost / foresight.objective,
        foresight_gap=foresight.gap,
        plans=len(run.plans),
        fallbacks=sum(status == "fallback" for status, _, _, _ in run.plans),
        unsound=sum(not sound for _, _, _, sound in run.plans),
        largest_gap=max(gap for _, gap, _, _ in run.plans),
        plan_seconds=seconds / len(run.plans),
        changed_kw=run.changed_kw,
        broken=tuple(run.broken),
    )


def total_of(figures: Collection[LoopFigure]) -> LoopTotal:
    """Return all weeks together; there must be one."""
    cost = sum(figure.cost for figure in figures)
    foresight = sum(figure.foresight_cost for figure in figures)
    return LoopTotal(
        weeks=len(figures),
        feasible=sum(figure.foresight_met for figure in figures),
        met=sum(figure.met for figure in figures),
        cost=cost,
        foresight_cost=foresight,
        cost_ratio=cost / foresight,
        worst_ratio=max(figure.cost_ratio for figure in figures),
    )


def _planned(week: Week, run: _Run, step: int, settings: Settings, last: DepotPlan | None) -> DepotPlan:
    """Return a new plan for what is known now; `last` is that of the step before."""
    if settings.outlook and (step % DAY == 0 or not run.expected_kw):
        run.expected_kw = _outlook(week, run, step, settings)
    case = _known(week, run, step, settings, last)
    before = None if last is None else LastPlan(last, 1)
    plan = solve(case, PLAN_SECONDS, gap=GAP, last=before)
    run.plans.append((plan.status, plan.gap, plan.changed_kw, not verify(case, plan)))
    run.changed_kw += plan.changed_kw
    return plan


def _outlook(week: Week, run: _Run, step: int, settings: Settings) -> dict[tuple[str, int], float]:
    """Return the peaks of one plan of the coming days as they are known now: they are to be expected anyway."""
    ahead = min(OUTLOOK, week.steps + HORIZON - step)
    case = case_from_json(_document(week, run, step, ahead, settings.bad_day))
    return {(peak.charge, peak.period): peak.kw for peak in look_ahead(case, WEEK_SECONDS)}


def _known(week: Week, run: _Run, step: int, settings: Settings, last: DepotPlan | None) -> DepotCase:
    """Return the case of what is known at a step, with the last plan, and what is below an expected peak for free."""
    document = _document(week, run, step, HORIZON, settings.bad_day)
    document["demand_charges"] = expecting(document["demand_charges"], run.expected_kw)
    if settings.last_plan and last is not None:
        price = float(np.median(week.import_price[step : step + HORIZON]))
        document["previous"] = {
            "price_per_kw": CHANGE_PRICE_SHARE * price * HOURS,
            "net_kw": {
                name: (own.charge_kw - own.discharge_kw)[1:2].tolist() for name, own in last.vehicles.items()
            },
        }
    return case_from_json(document)


def _document(week: Week, run: _Run, step: int, ahead: int, bad_day: bool) -> dict[str, Any]:
    """Return the case of what is known of so many steps ahead: what is out, forecasts, the peak so far, the bad day."""
    span = step, step + ahead
    series = forecast_of(week, step, ahead)
    prices = week.import_price[slice(*span)]
    document = case_of(week, span, series, PLANNED_SHARE)
    document["demand_charges"] = demand_charges(week, span, run.billed_kw)
    document["vehicles"] = [
        _known_vehicle(bus, run.energy_kwh[bus.id], (step, ahead), prices, document["demand_charges"])
        for bus in week.buses
    ]
    if bad_day:
        building, solar = series
        document["bad_day"] = {
            "building_load_kw": (building * (1 + week.building_band)).tolist(),
            "solar_kw": np.maximum(0.0, solar + week.solar_band * week.clear_kw[slice(*span)]).tolist(),
        }
    return document


def _known_vehicle(
    bus: Bus, energy_kwh: float, span: tuple[int, int], prices: FloatArray, charges: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return a bus as known at the first of (step, steps ahead); at the end it wants what its next trip needs."""
    step, ahead = span
    away: list[dict[str, Any]] = []
    targets: list[dict[str, Any]] = []
    later: Trip | None = None
    for trip in bus.trips:
        if trip.real_back <= step:
            continue
        if trip.out >= step + ahead:
            later = trip
            break
        away.append(_known_trip(trip, step, ahead))
        if step < trip.out:
            targets.append({"boundary": trip.out - step, "soc": trip.required_soc, "tier": "must"})
    wanted = 0.5 if later is None else later.required_soc
    worth = float(np.median(prices)), float(prices.min()) / EFFICIENCY
    targets += end_targets(ahead, wanted, 1.0, worth, charges)
    return vehicle_of(bus, energy_kwh / bus.capacity_kwh) | {"away": away, "targets": targets}


def _known_trip(trip: Trip, step: int, ahead: int) -> dict[str, Any]:
    """Return a trip as it is expected at a step; one that is overdue is expected back in the next."""
    if trip.back <= step:
        overdue = step - trip.back
        return {
            "from_step": 0,
            "to_step": 1,
            "energy_kwh": 0.0,
            "late_steps": max(0, trip.late_band - overdue - 1),
        }
    first, end = max(trip.out, step), min(trip.back, step + ahead)
    share = (end - first) / (trip.back - trip.out)
    return {
        "from_step": first - step,
        "to_step": end - step,
        "energy_kwh": trip.energy_kwh * share,
        "late_steps": trip.late_band,
        "extra_kwh": trip.extra_band_kwh * share,
    }


def _step(week: Week, run: _Run, step: int, plan: DepotPlan) -> None:
    """Let a step happen: departures are judged, then powers flow as far as batteries and the guard let them."""
    net: dict[str, float] = {}
    for bus in week.buses:
        for trip in bus.trips:
            if trip.out == step:
                wanted = trip.required_soc * bus.capacity_kwh
                run.missing_kwh[bus.id, step] = max(0.0, wanted - run.energy_kwh[bus.id])
        net[bus.id] = 0.0 if bus.out_at(step) else _taken_kw(bus, run.energy_kwh[bus.id], plan)
    rest = float(week.building_kw[step])
    solar = float(week.solar_kw[step])
    net = _guarded(week, run, step, net, rest - solar, plan)
    flow = rest - solar + sum(net.values())
    # What may not be exported is curtailed first; then discharging gives way.
    export = min(max(0.0, -flow), week.export_limit_kw)
    _note_limits(week, run, step, net, rest)
    for bus in week.buses:
        now_out = bus.out_at(step)
        use = 0.0 if now_out is None else now_out.used_kwh / (now_out.real_back - now_out.out)
        gained = max(0.0, net[bus.id]) * EFFICIENCY - max(0.0, -net[bus.id]) / EFFICIENCY
        run.energy_kwh[bus.id] += HOURS * gained - use
        run.cost += bus.wear_per_kwh * HOURS * max(0.0, -net[bus.id]) / EFFICIENCY
    run.net_kw = net
    run.cost += HOURS * (max(0.0, flow) * week.import_price[step] - export * week.export_price[step])
    run.billed_kw["facility"] = max(run.billed_kw["facility"], flow)
    if week.on_peak[step]:
        run.billed_kw["on_peak"] = max(run.billed_kw["on_peak"], flow)


def _taken_kw(bus: Bus, energy_kwh: float, plan: DepotPlan) -> float:
    """Return the power that flows: as planned, as far as the battery takes it or has it above its floor."""
    own = plan.vehicles[bus.id]
    charge = min(float(own.charge_kw[0]), (bus.capacity_kwh - energy_kwh) / (HOURS * EFFICIENCY))
    spare = (energy_kwh - bus.floor_soc * bus.capacity_kwh) * EFFICIENCY / HOURS
    return max(0.0, charge) - max(0.0, min(float(own.discharge_kw[0]), spare))


def _guarded(
    week: Week, run: _Run, step: int, net: dict[str, float], rest_kw: float, plan: DepotPlan
) -> dict[str, float]:
    """Return powers after the guard has held the import limit and the peaks, and discharging the export limit.

    The import limit is a fuse. A peak, as planned or as billed so far, is money: no departure is missed for it, and
    what counts is the mean of the metering interval, which needs no margin.
    """
    powers = dict(net)
    peaks = ["facility", "on_peak"] if week.on_peak[step] else ["facility"]
    money = min(max(run.billed_kw[name], plan.demand_peaks[name][0]) for name in peaks)
    for limit, fuse in ((week.import_limit_kw, True), (money / (1 - MARGIN), False)):
        flow = rest_kw + sum(powers.values())
        if flow <= (limit if fuse else money):
            continue
        # What is taken here is taken for a whole step.
        held = 0.0 if fuse else HOURS
        loads = [
            Load(number, powers[bus.id], bus.power_kw, _spare_hours(bus, run.energy_kwh[bus.id], step) - held)
            for number, bus in enumerate(week.buses)
        ]
        for number, ceiling in ceilings(Site(flow, 0.0, limit, 0.0, fuse), loads).items():
            name = week.buses[number].id
            powers[name] = powers[name] if ceiling is None else min(powers[name], ceiling)
    over = max(0.0, -rest_kw - sum(powers.values()) - max(0.0, -rest_kw) - week.export_limit_kw)
    for name, power in powers.items():
        less = min(over, max(0.0, -power))
        powers[name], over = power + less, over - less
    return powers


def _spare_hours(bus: Bus, energy_kwh: float, step: int) -> float:
    """Return how long a bus could stand still and still leave with what it needs."""
    coming = next((trip for trip in bus.trips if trip.out > step), None)
    if coming is None:
        return float(DAY)
    needed = max(0.0, coming.required_soc * bus.capacity_kwh - energy_kwh) / (bus.power_kw * EFFICIENCY)
    return (coming.out - step) * HOURS - needed


def _note_limits(week: Week, run: _Run, step: int, net: dict[str, float], rest_kw: float) -> None:
    """Note limits that charging or discharging has broken; what building and sun do alone is no fault of theirs."""
    own = sum(net.values())
    flow = rest_kw - float(week.solar_kw[step]) + own
    if flow > week.import_limit_kw + SAME_KW and own > SAME_KW:
        run.broken.append(f"import limit at step {step}: {flow - week.import_limit_kw:.2f} kW")
    for name, limit in week.feeders_kw.items():
        load = sum(net[bus.id] for bus in week.buses if bus.feeder == name)
        if abs(load) > limit + SAME_KW:
            run.broken.append(f"feeder {name} at step {step}: {abs(load) - limit:.2f} kW")


def _demand_cost(week: Week, billed_kw: dict[str, float]) -> float:
    prices = {"facility": FACILITY_PER_KW, "on_peak": ON_PEAK_PER_KW}
    return sum(price * (billed_kw[name] - week.billed_kw[name]) for name, price in prices.items())


def _truth(week: Week, run: _Run) -> DepotCase:
    """Return the whole week as it really went; every bus is to end with the energy that it ended with in the loop."""
    span = 0, week.steps
    document = case_of(week, span, (week.building_kw[slice(*span)], week.solar_kw[slice(*span)]), 1.0)
    document["demand_charges"] = demand_charges(week, span, week.billed_kw)
    vehicles = []
    for bus in week.buses:
        trips = [trip for trip in bus.trips if trip.out < week.steps]
        end = min(1.0, max(0.0, run.energy_kwh[bus.id] / bus.capacity_kwh))
        targets = [
            {"boundary": trip.out, "soc": trip.required_soc, "tier": "must"} for trip in trips if trip.out > 0
        ]
        targets.append({"boundary": week.steps, "soc": end, "tier": "should", "price_per_kwh": END_PRICE})
        away = [
            {
                "from_step": trip.out,
                "to_step": min(trip.real_back, week.steps),
                "energy_kwh": trip.used_kwh
                * (min(trip.real_back, week.steps) - trip.out)
                / (trip.real_back - trip.out),
            }
            for trip in trips
        ]
        vehicles.append(vehicle_of(bus, bus.initial_soc) | {"away": away, "targets": targets})
    return case_from_json(document | {"vehicles": vehicles})
