"""Check the way through a bad day that a plan names, from its powers alone: a part of `verify`.

The way is looked at as a plan of its own, for the depot as it is on that day. Nothing here comes from the planner's
solving modules.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from charging.planner.case import BoolArray, DepotCase, FloatArray, Node, Vehicle
from charging.planner.plan import DepotPlan, ExceededLimit, LoadPlan, StoragePlan, VehiclePlan
from charging.planner.rolling import BadDay

POWER_KW = 1e-3

Fault = tuple[str, str, str]
"""A kind, a place and a sentence."""


def bad_day_faults(case: DepotCase, plan: DepotPlan, day: BadDay) -> Iterator[Fault]:
    """Report a way that is not there, that does not begin as the plan does, or that the site has no power for."""
    if plan.bad_day is None:
        yield "bad_day", "plan", "names no way through the bad day"
        return
    names = {*plan.vehicles, *plan.storage, *plan.flexible_loads}
    if set(plan.bad_day.devices) != names:
        yield "bad_day", "plan", "its way through the bad day does not hold exactly the case's devices"
        return
    total = np.zeros(case.steps)
    for name, own in plan.bad_day.devices.items():
        begun = _planned_kw(plan, name)[0][: day.replan_steps]
        if (own.charge_kw[: day.replan_steps] > begun + POWER_KW).any():
            yield "bad_day", name, "charges more on the bad day than planned before a new plan can be made"
        total = total + own.charge_kw
    room = np.maximum(0.0, case.site.import_limit_kw - day.building_load_kw + day.solar_kw)
    over = (total - room)[day.replan_steps :]
    if over.size and over.max() > POWER_KW * (1 + len(names)):
        step = day.replan_steps + int(np.argmax(over))
        yield (
            "bad_day",
            f"step {step}",
            f"charges {over.max():.4f} kW above what the site leaves on the bad day",
        )


def as_bad_day(case: DepotCase, plan: DepotPlan, day: BadDay) -> tuple[DepotCase, DepotPlan]:
    """Return case and plan of the bad day; limits that are shared hold from when a new plan can be made."""
    if plan.bad_day is None:
        raise ValueError("the plan names no way through the bad day")
    open_steps = np.arange(case.steps) < day.replan_steps
    bad_case = replace(
        case,
        site=replace(case.site, nodes=tuple(_opened(node, open_steps) for node in case.site.nodes)),
        vehicles=tuple(_bad_vehicle(vehicle, case.steps) for vehicle in case.vehicles),
        chargers=tuple(replace(item, min_charge_kw=0.0, min_discharge_kw=0.0) for item in case.chargers),
        storage=tuple(replace(item, min_soc=-np.inf) for item in case.storage),
    )
    ways = {name: _way(bad_case, plan, name, day.replan_steps) for name in plan.bad_day.devices}
    vehicles = {
        item.id: VehiclePlan(
            item.charger, ways[item.id].charge_kw, ways[item.id].discharge_kw, ways[item.id].soc
        )
        for item in case.vehicles
    }
    above = "starts above it, or is used less than planned"
    bad_plan = replace(
        plan,
        vehicles=vehicles,
        storage={item.id: ways[item.id] for item in case.storage},
        flexible_loads={item.id: LoadPlan(ways[item.id].charge_kw) for item in case.flexible_loads},
        shortfalls=plan.bad_day.shortfalls,
        # Being too full is no fault of the way; charging while it is stays one.
        exceeded_limits=tuple(
            ExceededLimit("max_soc", name, 0, case.steps + 1, 0.0, "kWh", above) for name in ways
        ),
    )
    return bad_case, bad_plan


def _bad_vehicle(vehicle: Vehicle, steps: int) -> Vehicle:
    away = []
    for number, trip in enumerate(vehicle.away):
        following = vehicle.away[number + 1].from_step if number + 1 < len(vehicle.away) else steps
        end = min(following, trip.to_step + trip.late_steps)
        away.append(replace(trip, to_step=end, energy_kwh=trip.energy_kwh + trip.extra_kwh))
    return replace(
        vehicle,
        away=tuple(away),
        targets=tuple(item for item in vehicle.targets if item.tier == "must"),
        min_soc=-np.inf,
        v2g_min_soc=-np.inf,
    )


def _opened(node: Node, open_steps: BoolArray) -> Node:
    phase = node.phase_limit_kw
    return replace(
        node,
        import_limit_kw=np.where(open_steps, np.inf, node.import_limit_kw),
        export_limit_kw=np.where(open_steps, np.inf, node.export_limit_kw),
        phase_limit_kw=None if phase is None else np.where(open_steps, np.inf, phase),
    )


def _planned_kw(plan: DepotPlan, name: str) -> tuple[FloatArray, FloatArray]:
    """Return charge and discharge of a device in the plan itself."""
    if name in plan.flexible_loads:
        power = plan.flexible_loads[name].power_kw
        return power, np.zeros_like(power)
    own = plan.vehicles[name] if name in plan.vehicles else plan.storage[name]
    return own.charge_kw, own.discharge_kw


def _way(bad_case: DepotCase, plan: DepotPlan, name: str, begun_steps: int) -> StoragePlan:
    """Return a device's way; what it discharges is what the plan discharges first, where it is at the depot."""
    if plan.bad_day is None:
        raise ValueError("the plan names no way through the bad day")
    own = plan.bad_day.devices[name]
    discharge = _planned_kw(plan, name)[1].copy()
    discharge[begun_steps:] = 0.0
    for vehicle in bad_case.vehicles:
        if vehicle.id == name:
            for trip in vehicle.away:
                discharge[trip.from_step : trip.to_step] = 0.0
    return StoragePlan(own.charge_kw, discharge, own.soc)
