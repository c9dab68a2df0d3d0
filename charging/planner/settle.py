"""From powers to a plan: site flows, SoC, cost parts, missed targets and limits that could not be held."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from charging.planner.case import BoolArray, DepotCase, FloatArray
from charging.planner.causes import Circumstances, cause_of_shortfall
from charging.planner.devices import Devices, Problem, metering_groups
from charging.planner.plan import (
    Cost,
    DepotPlan,
    ExceededLimit,
    Seconds,
    Shortfall,
    SiteFlows,
    Status,
    StoragePlan,
    VehiclePlan,
)

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

    energy[b + 1] = energy[b] + hours * (efficiency * charge - discharge / efficiency) - use
    """
    devices = problem.devices
    gained = problem.case.hours * (
        decision.charge_kw * devices.charge_efficiency[:, None]
        - decision.discharge_kw / devices.discharge_efficiency[:, None]
    )
    path = problem.envelope.idle_kwh.copy()
    path[:, 1:] += np.cumsum(gained, axis=1)
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


def cost_of(
    case: DepotCase, devices: Devices, flows: SiteFlows, discharge_kw: FloatArray
) -> tuple[Cost, dict[str, list[float]]]:
    """Return the cost parts and the demand peaks they come from."""
    energy_import = case.hours * float(flows.import_kw @ case.prices.import_per_kwh)
    energy_export = -case.hours * float(flows.export_kw @ case.prices.export_per_kwh)
    wear_price = devices.wear_cost_per_kwh / devices.discharge_efficiency
    wear = case.hours * float(discharge_kw.sum(axis=1) @ wear_price)
    peaks = peaks_of(case, flows.import_kw)
    demand = {
        charge.id: charge.price_per_kw
        * float(np.maximum(0.0, np.array(peaks[charge.id]) - charge.billed_kw_so_far).sum())
        for charge in case.demand_charges
    }
    total = energy_import + energy_export + wear + sum(demand.values())
    return Cost(energy_import, energy_export, demand, wear, 0.0, total), peaks


def total_cost(problem: Problem, decision: Decision) -> float:
    """Return the cost of a decision, without any penalty."""
    flows = flows_of(problem.case, decision)
    return cost_of(problem.case, problem.devices, flows, decision.discharge_kw)[0].total


def plan_of(problem: Problem, decision: Decision, proof: Proof) -> DepotPlan:
    """Return the full plan of a decision, without explanations."""
    case, devices = problem.case, problem.devices
    flows = flows_of(case, decision)
    cost, peaks = cost_of(case, devices, flows, decision.discharge_kw)
    path = energy_path(problem, decision)
    soc = path / devices.capacity_kwh[:, None]
    count = devices.vehicle_count
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
        demand_peaks=peaks,
        vehicles={
            vehicle.id: VehiclePlan(vehicle.charger, decision.charge_kw[i], decision.discharge_kw[i], soc[i])
            for i, vehicle in enumerate(case.vehicles)
        },
        storage={
            item.id: StoragePlan(decision.charge_kw[i], decision.discharge_kw[i], soc[i])
            for i, item in enumerate(case.storage, start=count)
        },
        shortfalls=shortfalls_of(problem, decision, path),
        exceeded_limits=(*_exceeded_site(case, flows), *_exceeded_soc(devices, path)),
        marginal_price_per_kwh=proof.marginal_price_per_kwh,
    )


def shortfalls_of(problem: Problem, decision: Decision, path: FloatArray) -> tuple[Shortfall, ...]:
    """Return every missed target with its cause."""
    found = []
    devices = problem.devices
    net_kw = decision.charge_kw - decision.discharge_kw
    circumstances = Circumstances.of(problem, decision.charge_kw, net_kw, path)
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
                        asset="vehicle" if device < devices.vehicle_count else "storage",
                    )
                )
    return tuple(found)


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
