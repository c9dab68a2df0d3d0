"""From powers to a plan: site flows, SoC, cost parts, missed targets and limits that could not be held."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from charging.planner.case import BoolArray, DepotCase, FloatArray
from charging.planner.causes import Circumstances, cause_of_shortfall
from charging.planner.devices import Devices, Problem, metering_groups
from charging.planner.earnings import (
    delivered_to,
    demand_cost,
    held_at_site,
    ready_kwh,
    reserve_of,
    standing_cost,
    throughput_cost,
)
from charging.planner.orders import unheeded_orders
from charging.planner.plan import (
    Asset,
    Cost,
    DepotPlan,
    EventPlan,
    ExceededLimit,
    LoadPlan,
    ReservePlan,
    Seconds,
    Shortfall,
    SiteFlows,
    Status,
    StoragePlan,
    VehiclePlan,
)
from charging.planner.wear_bands import extra_wear

MISSING_KWH = 1e-3
EXCESS_KW = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What is decided: charge and discharge per device and step (D, T), and the solar power used (T,)."""

    charge_kw: FloatArray
    discharge_kw: FloatArray
    solar_used_kw: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Proof:
    """What is known about a decision: its status, a proven bound, marginal prices and the time it took."""

    status: Status
    bound: float
    marginal_price_per_kwh: FloatArray
    seconds: Seconds


def energy_path(problem: Problem, decision: Decision) -> FloatArray:
    """Return the energy in each device at each boundary, shape (D, T + 1).

    energy[b + 1] = energy[b] + hours * (efficiency * charge - discharge / efficiency - losses) - use
    """
    return path_of(problem, stored_kwh(problem, decision))


def stored_kwh(problem: Problem, decision: Decision) -> FloatArray:
    """Return the energy that charge and discharge add to each device in each step, shape (D, T)."""
    conversion = problem.devices.conversion(problem.case.hours)
    return conversion.stored_kwh(decision.charge_kw, decision.discharge_kw)


def path_of(problem: Problem, stored: FloatArray) -> FloatArray:
    """Return the energy in each device at each boundary (D, T + 1) from what is stored in each step (D, T)."""
    path = problem.envelope.idle_kwh.copy()
    path[:, 1:] += np.cumsum(stored, axis=1)
    return path


def flows_of(case: DepotCase, decision: Decision) -> SiteFlows:
    """Return import and export at the grid connection, never both at once."""
    net = (
        case.site.building_load_kw
        - decision.solar_used_kw
        + decision.charge_kw.sum(axis=0)
        - decision.discharge_kw.sum(axis=0)
    )
    return SiteFlows(np.maximum(net, 0.0), np.maximum(-net, 0.0), decision.solar_used_kw)


def peaks_of(case: DepotCase, import_kw: FloatArray) -> dict[str, list[float]]:
    """Return, per demand charge, the highest metered import in its window for each billing period (0 if none)."""
    peaks = {}
    for charge in case.demand_charges:
        groups, periods = metering_groups(case, charge)
        inside = groups >= 0
        sums = np.bincount(groups[inside], weights=import_kw[inside], minlength=len(periods))
        highest = np.zeros(len(charge.billed_kw_so_far))
        np.maximum.at(highest, periods, sums / np.bincount(groups[inside], minlength=len(periods)))
        peaks[charge.id] = highest.tolist()
    return peaks


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What follows from a decision: flows, energies (D, T + 1), peaks, offers and what all of it costs."""

    flows: SiteFlows
    path_kwh: FloatArray
    peaks: dict[str, list[float]]
    events: dict[str, EventPlan]
    reserve: ReservePlan | None
    cost: Cost


def outcome_of(problem: Problem, decision: Decision) -> Outcome:
    """Return what a decision comes to."""
    case, devices = problem.case, problem.devices
    flows, path = flows_of(case, decision), energy_path(problem, decision)
    energy_import = case.hours * float(flows.import_kw @ case.prices.import_per_kwh)
    energy_export = -case.hours * float(flows.export_kw @ case.prices.export_per_kwh)
    peaks = peaks_of(case, flows.import_kw)
    demand = {item.id: demand_cost(item, np.array(peaks[item.id])) for item in case.demand_charges}
    events = {event.id: delivered_to(case, event, flows) for event in case.events}
    reserve = _reserve(problem, decision, flows, path)
    wear = _wear(problem, decision, path)
    standing = standing_cost(case, devices, path)
    programmes = -sum(item.pay for item in events.values()) - (reserve.pay if reserve else 0.0)
    total = energy_import + energy_export + wear + sum(demand.values()) + programmes + standing
    cost = Cost(energy_import, energy_export, demand, wear, programmes, total, standing)
    return Outcome(flows, path, peaks, events, reserve, cost)


def _reserve(problem: Problem, decision: Decision, flows: SiteFlows, path: FloatArray) -> ReservePlan | None:
    reserve = problem.case.reserve
    if reserve is None or reserve.frequency is None:
        return None
    net = decision.charge_kw - decision.discharge_kw
    free = reserve_of(problem.devices, reserve.frequency, net, path)
    return held_at_site(problem.case, reserve.frequency, free, flows)


def leaving_kwh(problem: Problem, decision: Decision) -> FloatArray:
    """Return what leaves each battery for its charger in each step, shape (D, T)."""
    return problem.devices.conversion(problem.case.hours).leaving_kwh(decision.discharge_kw)


def _wear(problem: Problem, decision: Decision, path: FloatArray) -> float:
    case, devices = problem.case, problem.devices
    steps = leaving_kwh(problem, decision)
    leaving = steps.sum(axis=1)
    banded = sum(float(item.sum()) for item in extra_wear(devices.bands, steps, path).values())
    beyond = sum(throughput_cost(item, float(kwh)) for item, kwh in zip(case.vehicles, leaving, strict=False))
    return float(leaving @ devices.wear_cost_per_kwh) + banded + beyond


def total_cost(problem: Problem, decision: Decision) -> float:
    """Return the cost of a decision, without any penalty."""
    return outcome_of(problem, decision).cost.total


def plan_of(problem: Problem, decision: Decision, proof: Proof) -> DepotPlan:
    """Return the full plan of a decision, without explanations."""
    case, devices = problem.case, problem.devices
    outcome = outcome_of(problem, decision)
    flows, path, cost = outcome.flows, outcome.path_kwh, outcome.cost
    soc = path / devices.capacity_kwh[:, None]
    count = devices.vehicle_count
    circumstances = Circumstances.of(
        problem, decision.charge_kw, decision.charge_kw - decision.discharge_kw, path
    )
    bound = min(proof.bound, cost.total)
    return DepotPlan(
        case=case.name,
        status=proof.status,
        objective=cost.total,
        bound=bound,
        gap=(cost.total - bound) / max(abs(cost.total), 1e-9),
        seconds=proof.seconds,
        cost=cost,
        site=flows,
        demand_peaks=outcome.peaks,
        vehicles={
            vehicle.id: VehiclePlan(vehicle.charger, decision.charge_kw[i], decision.discharge_kw[i], soc[i])
            for i, vehicle in enumerate(case.vehicles)
        },
        storage={
            item.id: StoragePlan(decision.charge_kw[i], decision.discharge_kw[i], soc[i])
            for i, item in enumerate(case.storage, start=count)
        },
        flexible_loads={
            item.id: LoadPlan(decision.charge_kw[i])
            for i, item in enumerate(case.flexible_loads, start=count + devices.battery_count)
        },
        shortfalls=shortfalls_of(circumstances),
        events=outcome.events,
        reserve=outcome.reserve,
        exceeded_limits=(
            *_exceeded_site(case, flows),
            *_exceeded_soc(devices, path),
            *_missing_backup(case, devices, path),
            *unheeded_orders(circumstances),
        ),
        marginal_price_per_kwh=proof.marginal_price_per_kwh,
        changed_kw=changed_kw(problem, decision),
    )


def changed_kw(problem: Problem, decision: Decision) -> float:
    """Return by how many kW, summed over steps, a decision differs from what the last plan was about to do."""
    before = problem.case.previous
    if before is None:
        return 0.0
    net = decision.charge_kw - decision.discharge_kw
    return sum(before.changed_kw(name, net[row]) for row, name in enumerate(problem.devices.ids))


def shortfalls_of(circumstances: Circumstances) -> tuple[Shortfall, ...]:
    """Return every missed target with its cause."""
    found = []
    devices, path = circumstances.problem.devices, circumstances.energy_kwh
    for device, targets in enumerate(devices.targets):
        for target in targets:
            planned = path[device, target.boundary]
            missing = target.soc * devices.capacity_kwh[device] - planned
            if missing > MISSING_KWH:
                found.append(
                    Shortfall(
                        vehicle=devices.ids[device],
                        boundary=target.boundary,
                        required_soc=target.soc,
                        planned_soc=float(planned / devices.capacity_kwh[device]),
                        missing_kwh=float(missing),
                        tier=target.tier,
                        cause=cause_of_shortfall(circumstances, device, target),
                        asset=_asset(devices, device),
                    )
                )
    return tuple(found)


def _asset(devices: Devices, device: int) -> Asset:
    if device < devices.vehicle_count:
        return "vehicle"
    return "storage" if device < devices.vehicle_count + devices.battery_count else "flexible_load"


def _spans(marked: BoolArray) -> list[tuple[int, int]]:
    """Return the half-open runs of marked places."""
    edges = np.flatnonzero(np.diff(np.r_[False, marked, False].astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _exceeded_site(case: DepotCase, flows: SiteFlows) -> list[ExceededLimit]:
    found = []
    kinds: tuple[tuple[Literal["import_limit", "export_limit"], FloatArray, str], ...] = (
        ("import_limit", flows.import_kw - case.site.import_limit_kw, "the building's load alone is higher"),
        ("export_limit", flows.export_kw - case.site.export_limit_kw, "the solar power cannot be curtailed"),
    )
    for kind, excess, cause in kinds:
        for start, end in _spans(excess > EXCESS_KW):
            worst = float(excess[start:end].max())
            found.append(ExceededLimit(kind, "grid connection", start, end, worst, "kW", cause))
    return found


def _exceeded_soc(devices: Devices, path: FloatArray) -> list[ExceededLimit]:
    """Return the spans of boundaries (half-open, up to `steps` + 1) whose energy is outside min_soc..max_soc."""
    found = []
    for device, name in enumerate(devices.ids):
        for start, end in _spans(path[device] < devices.floor_kwh[device] - MISSING_KWH):
            worst = float((devices.floor_kwh[device] - path[device, start:end]).max())
            cause = (
                "starts below its minimum" if start == 0 else "its trip or a shared limit leaves too little"
            )
            found.append(ExceededLimit("min_soc", name, start, end, worst, "kWh", cause))
        for start, end in _spans(path[device] > devices.ceiling_kwh[device] + MISSING_KWH):
            worst = float((path[device, start:end] - devices.ceiling_kwh[device]).max())
            found.append(ExceededLimit("max_soc", name, start, end, worst, "kWh", "starts above its maximum"))
    return found


def _missing_backup(case: DepotCase, devices: Devices, path: FloatArray) -> list[ExceededLimit]:
    """Return the spans of steps at whose end less energy is ready than the backup asks for."""
    if case.reserve is None:
        return []
    missing = case.reserve.backup_kwh - ready_kwh(devices, path)
    cause = "departures, shared limits or what is plugged in leave too little"
    return [
        ExceededLimit("backup", "backup reserve", start, end, float(missing[start:end].max()), "kWh", cause)
        for start, end in _spans(missing > MISSING_KWH)
    ]
