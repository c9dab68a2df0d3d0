"""Check tapers, phases and wear by SoC band of a plan, from its powers alone: a part of `verify`.

Nothing here comes from the planner's solving modules.
"""

from collections.abc import Iterator

import numpy as np

from charging.planner.case import Charger, DepotCase, FloatArray, Node, Storage, Vehicle
from charging.planner.plan import DepotPlan, StoragePlan, VehiclePlan

POWER_KW = 1e-3

Fault = tuple[str, str, str]
"""A kind, a place and a sentence."""


def physics_faults(case: DepotCase, plan: DepotPlan) -> Iterator[Fault]:
    """Report charging above a taper, powers below the least one, and phases above their limit."""
    chargers = {charger.id: charger for charger in case.chargers}
    powers: VehiclePlan | StoragePlan
    for vehicle in case.vehicles:
        yield from _taper_faults(case, plan, vehicle)
        charger, powers = chargers[vehicle.charger], plan.vehicles[vehicle.id]
        yield from _least_faults(f"vehicle {vehicle.id}", charger, least_kw(charger), powers)
    for battery in case.storage:
        powers = plan.storage[battery.id]
        yield from _least_faults(f"battery {battery.id}", battery, least_kw(battery), powers)
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


def least_kw(station: Charger | Storage) -> tuple[float, float]:
    """Return the least charge, which stores something, and the least discharge, which gives no less than is lost."""
    charge, discharge = station.charge_loss_kw / station.charge_efficiency, station.discharge_loss_kw
    if isinstance(station, Storage):
        return charge, discharge
    return max(station.min_charge_kw, charge), max(station.min_discharge_kw, discharge)


def _least_faults(
    place: str,
    station: Charger | Storage,
    least: tuple[float, float],
    powers: VehiclePlan | StoragePlan,
) -> Iterator[Fault]:
    losses = station.charge_loss_kw, station.discharge_loss_kw
    for what, power, lowest, loss in zip(
        ("charges", "discharges"), (powers.charge_kw, powers.discharge_kw), least, losses, strict=True
    ):
        # With a loss even dust costs energy, so that it is none.
        small = (power > (0.0 if loss else POWER_KW)) & (power < lowest - POWER_KW)
        for step in np.flatnonzero(small).tolist():
            sentence = f"{what} with {power[step]:.4f} kW, below the charger's least power of {lowest:g} kW"
            yield "least_power", f"{place}, step {step}", sentence


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
        charger.charge_efficiency * powers.charge_kw
        - charger.charge_loss_kw * (powers.charge_kw > 0.0)
        - powers.discharge_kw / charger.discharge_efficiency
        - charger.discharge_loss_kw * (powers.discharge_kw > 0.0)
    )
    for trip in vehicle.away:
        gained[trip.from_step : trip.to_step] -= trip.energy_kwh / (trip.to_step - trip.from_step)
    energy: FloatArray = vehicle.initial_soc * vehicle.capacity_kwh + np.r_[0.0, np.cumsum(gained)]
    return energy
