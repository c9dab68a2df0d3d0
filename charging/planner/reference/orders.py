"""What a person ordered for a vehicle."""

import math
from itertools import pairwise

from charging.planner.case import Vehicle
from charging.planner.reference.model import Model, StoreColumns, variable

Powers = list[tuple[float, float]]


def ordered_powers(vehicle: Vehicle, power_kw: Powers) -> Powers:
    """Return most charge and discharge of each step as a person's orders leave them."""
    ordered = []
    for step, (charge, discharge) in enumerate(power_kw):
        orders = [item for item in vehicle.overrides if item.from_step <= step < item.to_step]
        both = [0.0 for item in orders if item.kind == "hold"]
        both += [item.max_kw for item in orders if item.max_kw is not None]
        out = [0.0 for item in orders if item.kind == "no_discharge"]
        ordered.append((min([charge, *both]), min([discharge, *both, *out])))
    return ordered


def add_orders(
    model: Model, number: int, vehicle: Vehicle, columns: StoreColumns, use_kwh: list[float]
) -> None:
    """Add what is missing at each boundary to the energy of charging at full power since an order began."""
    hours = model.case.hours
    wanted: dict[int, float] = {}
    for item in vehicle.overrides:
        if item.kind != "charge_now" or item.soc is None:
            continue
        goal = item.soc * vehicle.capacity_kwh
        level = vehicle.initial_soc * vehicle.capacity_kwh - sum(use_kwh[: item.from_step])
        for step in range(item.from_step, item.to_step):
            if not columns.plugged[step] and level >= goal:
                break
            power = min(columns.limits_kw[step][0], taken_kw(vehicle, level))
            full = level + hours * (columns.efficiency[0] * power - columns.losses_kw[0])
            level = max(level, min(full, goal)) - use_kwh[step]
            wanted[step + 1] = max(wanted.get(step + 1, -math.inf), min(level, goal))
    for boundary, kwh in wanted.items():
        missing = variable(f"o_v{number}_{boundary}")
        model.add(columns.energy[boundary] + missing >= kwh)
        model.unheeded.append(hours * missing)


def taken_kw(vehicle: Vehicle, energy_kwh: float) -> float:
    """Return the power that a vehicle's taper leaves at an energy."""
    points = vehicle.taper
    if not points:
        return math.inf
    soc = energy_kwh / vehicle.capacity_kwh
    if soc <= points[0].soc:
        return points[0].max_charge_kw
    for low, high in pairwise(points):
        if soc <= high.soc:
            share = (soc - low.soc) / (high.soc - low.soc)
            return low.max_charge_kw + share * (high.max_charge_kw - low.max_charge_kw)
    return points[-1].max_charge_kw
