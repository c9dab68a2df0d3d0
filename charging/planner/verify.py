"""Check a plan from its powers alone, with code of its own: nothing here comes from the planner's solving modules.

Powers may be off by POWER_KW, energies by ENERGY_KWH, money by MONEY plus MONEY_SHARE of the amount.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from charging.planner.case import BoolArray, Charger, DepotCase, FloatArray, Storage
from charging.planner.demand import DemandCharge
from charging.planner.plan import DepotPlan, Shortfall, StoragePlan, VehiclePlan
from charging.planner.rolling import BadDay
from charging.planner.verify_bad_day import as_bad_day, bad_day_faults
from charging.planner.verify_chargers import as_assigned, charger_faults
from charging.planner.verify_offers import (
    demand_due,
    offer_faults,
    programme_income,
    standing_due,
    throughput_due,
)
from charging.planner.verify_orders import order_faults
from charging.planner.verify_physics import banded_wear, physics_faults

POWER_KW = 1e-3
ENERGY_KWH = 2e-3
MONEY = 1e-3
MONEY_SHARE = 1e-6


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that a plan must not do: a short kind, where, and a sentence."""

    kind: str
    place: str
    sentence: str


@dataclass(frozen=True, slots=True, eq=False)
class _Store:
    """A vehicle or battery under check: its own data, its station's limits, and what the plan does with it."""

    name: str
    place: str
    capacity_kwh: float
    initial_soc: float
    soc_range: tuple[float, float]
    discharge_floor_soc: float
    limits_kw: tuple[float, float]
    efficiencies: tuple[float, float]
    losses_kw: tuple[float, float]
    powers: VehiclePlan | StoragePlan
    use_kwh: FloatArray
    away: BoolArray
    targets: tuple[tuple[int, float], ...]
    charger: str | None
    node: str | None


def verify(case: DepotCase, plan: DepotPlan) -> list[Violation]:
    """Return every violation of a plan; an empty list means that the plan is sound.

    Checked: limits of chargers, vehicles, batteries, nodes and grid connection; no power while away; no charge and
    discharge at once; discharge only where allowed and above its floor; a person's orders; tapers and phases; SoC
    limits and traces; every missed target and every limit that could not be held named; the way through the bad day;
    events, reserve and backup; cost parts, peaks, and bound <= cost. A limit that the plan names as exceeded is
    accepted only where the plan's own powers do not add to it.
    """
    if set(plan.vehicles) != {item.id for item in case.vehicles}:
        return [Violation("vehicles", "plan", "does not hold exactly the case's vehicles")]
    faults = [Violation(*fault) for fault in charger_faults(case, plan)]
    if faults:
        return faults
    case, plan = as_assigned(case, plan)
    if set(plan.storage) != {item.id for item in case.storage}:
        return [Violation("storage", "plan", "does not hold exactly the case's batteries")]
    if set(plan.flexible_loads) != {item.id for item in case.flexible_loads}:
        return [Violation("flexible_loads", "plan", "does not hold exactly the case's flexible loads")]
    stores = [*_vehicles(case, plan), *_batteries(case, plan), *_loads(case, plan)]
    found = [
        Violation(
            "charger", f"vehicle {item.id}", f"is planned at {plan.vehicles[item.id].charger}, not its own"
        )
        for item in case.vehicles
        if plan.vehicles[item.id].charger != item.charger
    ]
    shortfalls: dict[str, list[Shortfall]] = {}
    for item in plan.shortfalls:
        shortfalls.setdefault(item.vehicle, []).append(item)
    for store in stores:
        found += [*_power_faults(store), *_energy_faults(case, plan, store)]
        found += _target_faults(store, shortfalls.get(store.name, []))
    found += [*_charger_faults(case, stores), *_node_faults(case, stores)]
    found += [Violation(*fault) for fault in (*order_faults(case, plan), *physics_faults(case, plan))]
    if case.bad_day is not None:
        found += _bad_day_faults(case, plan, case.bad_day)
    offers = [Violation(*fault) for fault in offer_faults(case, plan)]
    return [*found, *_site_faults(case, plan, stores), *offers, *([] if offers else _cost_faults(case, plan))]


def _bad_day_faults(case: DepotCase, plan: DepotPlan, day: BadDay) -> list[Violation]:
    """Return what is wrong with the way through the bad day that the plan names, and with what it misses there."""
    found = [Violation(*fault) for fault in bad_day_faults(case, plan, day)]
    if found:
        return found
    case, plan = as_bad_day(case, plan, day)
    stores = [*_vehicles(case, plan), *_batteries(case, plan), *_loads(case, plan)]
    for store in stores:
        missed = [item for item in plan.shortfalls if item.vehicle == store.name]
        found += [*_power_faults(store), *_energy_faults(case, plan, store), *_target_faults(store, missed)]
    found += [*_charger_faults(case, stores), *_node_faults(case, stores)]
    found += [Violation(*fault) for fault in physics_faults(case, plan)]
    return [Violation("bad_day", item.place, f"on the bad day: {item.sentence}") for item in found]


def _vehicles(case: DepotCase, plan: DepotPlan) -> Iterator[_Store]:
    chargers = {charger.id: charger for charger in case.chargers}
    for item in case.vehicles:
        charger = chargers[item.charger]
        use, away = np.zeros(case.steps), np.zeros(case.steps, dtype=bool)
        for trip in item.away:
            use[trip.from_step : trip.to_step] += trip.energy_kwh / (trip.to_step - trip.from_step)
            away[trip.from_step : trip.to_step] = True
        for window in item.unplugged:
            away[window.from_step : window.to_step] = True
        charge, discharge = charger.max_charge_kw, charger.max_discharge_kw if item.v2g else 0.0
        if item.max_charge_kw is not None:
            charge = min(charge, item.max_charge_kw)
        if item.max_discharge_kw is not None:
            discharge = min(discharge, item.max_discharge_kw)
        yield _Store(
            item.id,
            f"vehicle {item.id}",
            item.capacity_kwh,
            item.initial_soc,
            (item.min_soc, item.max_soc),
            max(item.min_soc, item.v2g_min_soc),
            (charge, discharge),
            (charger.charge_efficiency, charger.discharge_efficiency),
            (charger.charge_loss_kw, charger.discharge_loss_kw),
            plan.vehicles[item.id],
            use,
            away,
            tuple((target.boundary, target.soc) for target in item.targets),
            charger.id,
            charger.node,
        )


def _batteries(case: DepotCase, plan: DepotPlan) -> Iterator[_Store]:
    for item in case.storage:
        yield _Store(
            item.id,
            f"battery {item.id}",
            item.capacity_kwh,
            item.initial_soc,
            (item.min_soc, item.max_soc),
            item.min_soc,
            (item.max_charge_kw, item.max_discharge_kw),
            (item.charge_efficiency, item.discharge_efficiency),
            (item.charge_loss_kw, item.discharge_loss_kw),
            plan.storage[item.id],
            np.zeros(case.steps),
            np.zeros(case.steps, dtype=bool),
            ((case.steps, item.final_soc),),
            None,
            item.node,
        )


def _loads(case: DepotCase, plan: DepotPlan) -> Iterator[_Store]:
    """Give each flexible load as a battery that fills up in its window."""
    for item in case.flexible_loads:
        power, capacity = plan.flexible_loads[item.id].power_kw, item.energy_kwh or 1.0
        outside = np.ones(case.steps, dtype=bool)
        outside[item.from_step : item.to_step] = False
        wanted = 1.0 if item.energy_kwh else 0.0
        yield _Store(
            item.id,
            f"flexible load {item.id}",
            capacity,
            0.0,
            (0.0, wanted),
            0.0,
            (item.max_kw, 0.0),
            (1.0, 1.0),
            (0.0, 0.0),
            StoragePlan(power, np.zeros(case.steps), np.r_[0.0, np.cumsum(power)] * case.hours / capacity),
            np.zeros(case.steps),
            outside,
            ((item.to_step, wanted),),
            None,
            item.node,
        )


def _above(kind: str, place: str, values: FloatArray, limit: ArrayLike, what: str) -> Iterator[Violation]:
    """Report values above a limit, once, at the worst step."""
    excess = values - np.asarray(limit, dtype=np.float64)
    worst = int(np.argmax(excess))
    if excess[worst] > POWER_KW:
        yield Violation(kind, f"{place}, step {worst}", f"{what} by {excess[worst]:.4f} kW")


def _power_faults(store: _Store) -> Iterator[Violation]:
    charge, discharge = store.powers.charge_kw, store.powers.discharge_kw
    yield from _above("charge", store.place, charge, store.limits_kw[0], "charges above its limit")
    yield from _above("discharge", store.place, discharge, store.limits_kw[1], "discharges above its limit")
    yield from _above("sign", store.place, -np.minimum(charge, discharge), 0.0, "has a negative power")
    both = np.minimum(charge, discharge)
    yield from _above("both_ways", store.place, both, 0.0, "charges and discharges at once")
    moving = np.where(store.away, charge + discharge, 0.0)
    yield from _above("away", store.place, moving, 0.0, "has power while it is away")


def _energy_faults(case: DepotCase, plan: DepotPlan, store: _Store) -> Iterator[Violation]:
    charge, discharge = store.powers.charge_kw, store.powers.discharge_kw
    gained = store.efficiencies[0] * charge - store.losses_kw[0] * (charge > 0.0)
    gained -= discharge / store.efficiencies[1] + store.losses_kw[1] * (discharge > 0.0)
    gained = case.hours * gained - store.use_kwh
    energy = store.initial_soc * store.capacity_kwh + np.concatenate([[0.0], np.cumsum(gained)])
    wrong = np.abs(energy - store.powers.soc * store.capacity_kwh) > ENERGY_KWH
    if wrong.any():
        yield Violation(
            "soc",
            f"{store.place}, boundary {int(np.argmax(wrong))}",
            "the SoC does not follow from its powers",
        )
    low, high = (limit * store.capacity_kwh for limit in store.soc_range)
    named = _named(plan, "min_soc", store.name, case.steps + 1)
    for boundary in np.flatnonzero((energy < low - ENERGY_KWH) & ~named).tolist():
        yield Violation("min_soc", f"{store.place}, boundary {boundary}", "is below its minimum, unnamed")
    floor = store.discharge_floor_soc * store.capacity_kwh
    for step in np.flatnonzero((discharge > POWER_KW) & (energy[1:] < floor - ENERGY_KWH)).tolist():
        yield Violation("floor", f"{store.place}, step {step}", "discharges below its floor")
    named = _named(plan, "max_soc", store.name, case.steps + 1)
    above = energy > high + ENERGY_KWH
    for boundary in np.flatnonzero(above & ~named).tolist():
        yield Violation("max_soc", f"{store.place}, boundary {boundary}", "is above its maximum, unnamed")
    for step in np.flatnonzero(above[1:] & (charge > POWER_KW)).tolist():
        yield Violation("max_soc", f"{store.place}, step {step}", "charges above its maximum")


def _named(plan: DepotPlan, kind: str, place: str, count: int) -> BoolArray:
    """Return where the plan itself says that a limit is exceeded."""
    named = np.zeros(count, dtype=bool)
    for item in plan.exceeded_limits:
        if item.kind == kind and item.place == place:
            named[item.from_step : item.to_step] = True
    return named


def _target_faults(store: _Store, shortfalls: list[Shortfall]) -> Iterator[Violation]:
    named = {(item.boundary, item.required_soc): item for item in shortfalls}
    for boundary, soc in store.targets:
        missing = (soc - store.powers.soc[boundary]) * store.capacity_kwh
        item = named.pop((boundary, soc), None)
        place = f"{store.place}, boundary {boundary}"
        if item is None and missing > ENERGY_KWH:
            yield Violation("target", place, f"misses its target by {missing:.3f} kWh, unnamed")
        if item is not None and (abs(item.missing_kwh - missing) > ENERGY_KWH or not item.cause):
            yield Violation("target", place, "its shortfall is named with a wrong amount or without a cause")
    for boundary, _ in named:
        yield Violation(
            "target", f"{store.place}, boundary {boundary}", "a shortfall is named without a target"
        )


def _charger_faults(case: DepotCase, stores: list[_Store]) -> Iterator[Violation]:
    users_of: dict[str | None, list[VehiclePlan | StoragePlan]] = {}
    for store in stores:
        users_of.setdefault(store.charger, []).append(store.powers)
    for charger in case.chargers:
        users = users_of.get(charger.id, [])
        charge = sum((powers.charge_kw for powers in users), np.zeros(case.steps))
        discharge = sum((powers.discharge_kw for powers in users), np.zeros(case.steps))
        place = f"charger {charger.id}"
        yield from _above("charger", place, charge, charger.max_charge_kw, "is above its power")
        yield from _above("charger", place, discharge, charger.max_discharge_kw, "discharges above its power")


def _node_faults(case: DepotCase, stores: list[_Store]) -> Iterator[Violation]:
    nodes = {node.id: node for node in case.site.nodes}
    flow = {name: np.zeros(case.steps) for name in nodes}
    for store in stores:
        name = store.node
        while name is not None:
            flow[name] = flow[name] + store.powers.charge_kw - store.powers.discharge_kw
            name = nodes[name].parent
    for name, node in nodes.items():
        yield from _above(
            "node", f"node {name}", flow[name], node.import_limit_kw, "is above its import limit"
        )
        yield from _above(
            "node", f"node {name}", -flow[name], node.export_limit_kw, "is above its export limit"
        )


def _site_faults(case: DepotCase, plan: DepotPlan, stores: list[_Store]) -> Iterator[Violation]:
    site, flows = case.site, plan.site
    own = sum((item.powers.charge_kw - item.powers.discharge_kw for item in stores), np.zeros(case.steps))
    net = site.building_load_kw - flows.solar_used_kw + own
    unbalanced = np.abs(flows.import_kw - flows.export_kw - net)
    yield from _above("balance", "grid connection", unbalanced, 0.0, "import and export are out of balance")
    both = np.minimum(flows.import_kw, flows.export_kw)
    yield from _above("both_ways", "grid connection", both, 0.0, "imports and exports at once")
    negative = -np.minimum(np.minimum(flows.import_kw, flows.export_kw), flows.solar_used_kw)
    yield from _above("sign", "grid connection", negative, 0.0, "has a negative flow")
    yield from _above("solar", "solar", flows.solar_used_kw, site.solar_kw, "uses more than there is")
    if not site.solar_curtailable:
        unused = site.solar_kw - flows.solar_used_kw
        yield from _above("solar", "solar", unused, 0.0, "is curtailed though it cannot be")
    excused = _named(plan, "import_limit", "grid connection", case.steps) & (own <= POWER_KW)
    limit = np.where(excused, np.inf, site.import_limit_kw)
    yield from _above("import_limit", "grid connection", flows.import_kw, limit, "imports above its limit")
    excused = _named(plan, "export_limit", "grid connection", case.steps) & (own >= -POWER_KW)
    limit = np.where(excused, np.inf, site.export_limit_kw)
    yield from _above("export_limit", "grid connection", flows.export_kw, limit, "exports above its limit")


def _metered_peaks(case: DepotCase, charge: DemandCharge, import_kw: FloatArray) -> list[float]:
    """Return the highest mean import of the metering intervals in the window, one value a billing period."""
    intervals: dict[tuple[int, int], list[float]] = {}
    first_minute = case.start.hour * 60 + case.start.minute
    for step in np.flatnonzero(charge.window).tolist():
        interval = (first_minute + int(step) * case.step_minutes) // charge.metering_minutes
        key = (int(charge.period[step]), interval)
        intervals.setdefault(key, []).append(float(import_kw[step]))
    peaks = [0.0] * len(charge.billed_kw_so_far)
    for (period, _), powers in intervals.items():
        peaks[period] = max(peaks[period], sum(powers) / len(powers))
    return peaks


def _cost_faults(case: DepotCase, plan: DepotPlan) -> Iterator[Violation]:
    cost, hours = plan.cost, case.hours
    parts = {
        "energy_import": (
            cost.energy_import,
            hours * float(plan.site.import_kw @ case.prices.import_per_kwh),
        ),
        "energy_export": (
            cost.energy_export,
            -hours * float(plan.site.export_kw @ case.prices.export_per_kwh),
        ),
        "wear": (cost.wear, _wear(case, plan)),
        "programmes": (cost.programmes, -programme_income(case, plan)),
        "standing": (cost.standing, standing_due(case, plan)),
    }
    for charge in case.demand_charges:
        peaks = _metered_peaks(case, charge, plan.site.import_kw)
        if np.abs(np.array(plan.demand_peaks.get(charge.id, [np.inf])) - peaks).max() > POWER_KW:
            yield Violation("peak", charge.id, "the demand peaks do not follow from the import")
        stated = cost.demand.get(charge.id, np.inf)
        parts[f"demand {charge.id}"] = (stated, demand_due(charge, peaks))
    total = sum(own for _, own in parts.values())
    parts["total"], parts["objective"] = (cost.total, total), (plan.objective, total)
    for name, (stated, own) in parts.items():
        if not abs(stated - own) <= MONEY + MONEY_SHARE * abs(own):
            yield Violation("cost", name, f"{stated:.4f} is stated where {own:.4f} follows from the powers")
    if abs(plan.changed_kw - _changed_kw(case, plan)) > POWER_KW * (1 + len(case.vehicles)):
        yield Violation("changes", "plan", "what changes the last plan does not follow from the powers")
    if plan.bound > plan.objective + MONEY + MONEY_SHARE * abs(plan.objective):
        yield Violation("bound", "plan", f"the bound {plan.bound:.4f} is above the cost {plan.objective:.4f}")


def _changed_kw(case: DepotCase, plan: DepotPlan) -> float:
    """Return by how many kW the first steps differ from what the last plan was about to do."""
    changed = 0.0
    for name, before in () if case.previous is None else case.previous.net_kw.items():
        own = plan.vehicles[name] if name in plan.vehicles else plan.storage[name]
        for step, net_kw in enumerate(before):
            changed += abs(float(own.charge_kw[step] - own.discharge_kw[step]) - net_kw)
    return changed


def _wear(case: DepotCase, plan: DepotPlan) -> float:
    chargers = {charger.id: charger for charger in case.chargers}
    wear = 0.0
    for vehicle in case.vehicles:
        leaving = case.hours * _leaving_kw(chargers[vehicle.charger], plan.vehicles[vehicle.id].discharge_kw)
        wear += vehicle.wear_cost_per_kwh * leaving + banded_wear(case, plan, vehicle)
        wear += throughput_due(vehicle, leaving)
    for battery in case.storage:
        leaving = case.hours * _leaving_kw(battery, plan.storage[battery.id].discharge_kw)
        wear += battery.wear_cost_per_kwh * leaving
    return wear


def _leaving_kw(station: Charger | Storage, discharge_kw: FloatArray) -> float:
    """Return what leaves a battery over all steps, as the sum of its powers."""
    lost = station.discharge_loss_kw * np.count_nonzero(discharge_kw > 0.0)
    return float(discharge_kw.sum()) / station.discharge_efficiency + lost
