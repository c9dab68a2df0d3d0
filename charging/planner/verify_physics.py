"""Check tapers, phases and wear by SoC band of a plan, from its powers alone: a part of `verify`.

Nothing here comes from the planner's solving modules.
"""

from collections.abc import Iterator

import numpy as np

from charging.planner.case import DepotCase, FloatArray, Node, Vehicle
from charging.planner.plan import DepotPlan

POWER_KW = 1e-3

Fault = tuple[str, str, str]
"""A kind, a place and a sentence."""


def physics_faults(case: DepotCase, plan: DepotPlan) -> Iterator[Fault]:
    """Report charging above a taper, powers below the least one, and phases above their limit."""
    for vehicle in case.vehicles:
        yield from _taper_faults(case, plan, vehicle)
        yield from _least_faults(case, plan, vehicle)
    for node in case.site.nodes:
        if node.phase_limit_kw is not None:
            yield from _phase_faults(case, plan, node, node.phase_limit_kw)


def taken_kw(vehicle: Vehicle, soc: float) -> float:
    """Return the power that a vehicle takes at a SoC, between the two points around it."""
    if not vehicle.taper:
        return float("inf")
    below = [point for point in vehicle.taper if point.soc <= soc]
    above = [point for point in vehicle.taper if point.soc > soc]
    if not below or not above:
        return (below[-1:] or above[:1])[0].max_charge_kw
    low, high = below[-1], above[0]
    share = (soc - low.soc) / (high.soc - low.soc)
    return (1.0 - share) * low.max_charge_kw + share * high.max_charge_kw


def _taper_faults(case: DepotCase, plan: DepotPlan, vehicle: Vehicle) -> Iterator[Fault]:
    if not vehicle.taper:
        return
    powers = plan.vehicles[vehicle.id].charge_kw
    for step, soc in enumerate(_energy(case, plan, vehicle)[:-1] / vehicle.capacity_kwh):
        over = float(powers[step]) - taken_kw(vehicle, float(soc))
        if over > POWER_KW:
            yield "taper", f"vehicle {vehicle.id}, step {step}", f"charges {over:.4f} kW above its taper"


def _least_faults(case: DepotCase, plan: DepotPlan, vehicle: Vehicle) -> Iterator[Fault]:
    charger = next(item for item in case.chargers if item.id == vehicle.charger)
    powers = plan.vehicles[vehicle.id]
    for what, power, least in (
        ("charges", powers.charge_kw, charger.min_charge_kw),
        ("discharges", powers.discharge_kw, charger.min_discharge_kw),
    ):
        small = (power > POWER_KW) & (power < least - POWER_KW)
        for step in np.flatnonzero(small).tolist():
            sentence = f"{what} with {power[step]:.4f} kW, below the charger's least power of {least:g} kW"
            yield "least_power", f"vehicle {vehicle.id}, step {step}", sentence


def _phase_faults(case: DepotCase, plan: DepotPlan, node: Node, limit_kw: FloatArray) -> Iterator[Fault]:
    loads = np.zeros((3, case.steps))
    for name, own_phase, net in _loads(case, plan):
        if _hangs_below(case, name, node):
            if own_phase is None:
                loads += net / 3.0
            else:
                loads[own_phase - 1] += net
    for phase, load in enumerate(loads, start=1):
        over = np.abs(load) - limit_kw
        worst = int(np.argmax(over))
        if over[worst] > POWER_KW:
            place = f"node {node.id}, phase {phase}, step {worst}"
            yield "phase", place, f"is above its limit by {over[worst]:.4f} kW"


def _loads(case: DepotCase, plan: DepotPlan) -> Iterator[tuple[str | None, int | None, FloatArray]]:
    """Give node, phase (None: all three) and net power of all that hangs on a node."""
    chargers = {charger.id: charger for charger in case.chargers}
    for vehicle in case.vehicles:
        charger, own = chargers[vehicle.charger], plan.vehicles[vehicle.id]
        yield charger.node, charger.phase, own.charge_kw - own.discharge_kw
    for battery in case.storage:
        held = plan.storage[battery.id]
        yield battery.node, None, held.charge_kw - held.discharge_kw
    for load in case.flexible_loads:
        yield load.node, None, plan.flexible_loads[load.id].power_kw


def _hangs_below(case: DepotCase, name: str | None, node: Node) -> bool:
    parents = {item.id: item.parent for item in case.site.nodes}
    while name is not None and name != node.id:
        name = parents[name]
    return name is not None


def banded_wear(case: DepotCase, plan: DepotPlan, vehicle: Vehicle) -> float:
    """Return the wear of a vehicle with bands: each kWh at the price of the band that it leaves from."""
    energy, due = _energy(case, plan, vehicle), 0.0
    for step in np.flatnonzero(plan.vehicles[vehicle.id].discharge_kw > 0.0).tolist():
        upper, lower = float(energy[step]), float(energy[step + 1])
        start = -np.inf
        for band in vehicle.wear_bands:
            end = band.below_soc * vehicle.capacity_kwh
            due += band.cost_per_kwh * max(0.0, min(upper, end) - max(lower, start))
            start = end
    return due


def _energy(case: DepotCase, plan: DepotPlan, vehicle: Vehicle) -> FloatArray:
    """Return the energy of a vehicle at each boundary, from its powers and trips."""
    charger = next(item for item in case.chargers if item.id == vehicle.charger)
    powers = plan.vehicles[vehicle.id]
    gained = case.hours * (
        charger.charge_efficiency * powers.charge_kw - powers.discharge_kw / charger.discharge_efficiency
    )
    for trip in vehicle.away:
        gained[trip.from_step : trip.to_step] -= trip.energy_kwh / (trip.to_step - trip.from_step)
    energy: FloatArray = vehicle.initial_soc * vehicle.capacity_kwh + np.r_[0.0, np.cumsum(gained)]
    return energy
