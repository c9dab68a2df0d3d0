"""Check that a plan follows what a person ordered, from its powers alone; part of `verify`, with code of its own."""

from collections.abc import Iterator

import numpy as np

from charging.planner.case import BoolArray, Charger, DepotCase, FloatArray, Vehicle
from charging.planner.plan import DepotPlan
from charging.planner.verify_physics import least_kw, taken_kw

POWER_KW = 1e-3
ENERGY_KWH = 2e-3


def order_faults(case: DepotCase, plan: DepotPlan) -> Iterator[tuple[str, str, str]]:
    """Yield kind, place and sentence of each order that a plan breaks, or misses without naming it rightly."""
    for vehicle in case.vehicles:
        yield from _power_faults(plan, vehicle)
        yield from _charge_now_faults(case, plan, vehicle)


def _power_faults(plan: DepotPlan, vehicle: Vehicle) -> Iterator[tuple[str, str, str]]:
    powers = plan.vehicles[vehicle.id]
    for item in vehicle.overrides:
        charge = powers.charge_kw[item.from_step : item.to_step].max()
        discharge = powers.discharge_kw[item.from_step : item.to_step].max()
        place = f"vehicle {vehicle.id}, steps {item.from_step} to {item.to_step}"
        if item.kind == "hold" and max(charge, discharge) > POWER_KW:
            yield "order", place, "has power though a person ordered it to hold"
        if item.kind == "no_discharge" and discharge > POWER_KW:
            yield "order", place, "discharges though a person forbade it"
        if item.max_kw is not None and max(charge, discharge) > item.max_kw + POWER_KW:
            yield "order", place, f"is above the {item.max_kw:g} kW that a person allows"


def _charge_now_faults(case: DepotCase, plan: DepotPlan, vehicle: Vehicle) -> Iterator[tuple[str, str, str]]:
    if all(item.kind != "charge_now" for item in vehicle.overrides):
        return
    missing = np.maximum(
        0.0, _wanted_kwh(case, vehicle) - plan.vehicles[vehicle.id].soc * vehicle.capacity_kwh
    )
    named = np.zeros(case.steps + 1, dtype=bool)
    for item in plan.exceeded_limits:
        if item.kind == "charge_now" and item.place == vehicle.id:
            span = slice(item.from_step, item.to_step)
            named[span] = True
            if abs(item.worst - missing[span].max()) > ENERGY_KWH or not item.cause:
                place = f"vehicle {vehicle.id}, boundaries {item.from_step} to {item.to_step}"
                yield "order", place, "its missed order is named with a wrong amount or without a cause"
    for boundary in np.flatnonzero((missing > ENERGY_KWH) & ~named).tolist():
        place = f"vehicle {vehicle.id}, boundary {boundary}"
        yield "order", place, f"misses {missing[boundary]:.3f} kWh of an order to charge now, unnamed"


def _wanted_kwh(case: DepotCase, vehicle: Vehicle) -> FloatArray:
    """Return the energy of charging at full power since an order began, up to what it asks for; -inf elsewhere."""
    charger = next(item for item in case.chargers if item.id == vehicle.charger)
    use, away = np.zeros(case.steps), np.zeros(case.steps, dtype=bool)
    for trip in vehicle.away:
        use[trip.from_step : trip.to_step] += trip.energy_kwh / (trip.to_step - trip.from_step)
        away[trip.from_step : trip.to_step] = True
    for window in vehicle.unplugged:
        away[window.from_step : window.to_step] = True
    power = _most_kw(vehicle, charger, away)
    wanted = np.full(case.steps + 1, -np.inf)
    for item in vehicle.overrides:
        if item.soc is None:
            continue
        goal = item.soc * vehicle.capacity_kwh
        kwh = vehicle.initial_soc * vehicle.capacity_kwh - use[: item.from_step].sum()
        for step in range(item.from_step, item.to_step):
            if kwh >= goal and away[step]:
                break
            if kwh < goal:
                most = min(power[step], taken_kw(vehicle, kwh / vehicle.capacity_kwh))
                gained = charger.charge_efficiency * most - charger.charge_loss_kw
                kwh = min(goal, kwh + case.hours * max(0.0, gained))
            kwh -= use[step]
            wanted[step + 1] = max(wanted[step + 1], min(kwh, goal))
    return wanted


def _most_kw(vehicle: Vehicle, charger: Charger, away: BoolArray) -> FloatArray:
    own = charger.max_charge_kw
    own = own if vehicle.max_charge_kw is None else min(own, vehicle.max_charge_kw)
    most = np.array(
        [0.0 if gone else allowed_kw(vehicle, step, (own, 0.0))[0] for step, gone in enumerate(away)]
    )
    if vehicle.taper:
        most = np.minimum(most, vehicle.taper[0].max_charge_kw)
        most[0] = min(most[0], taken_kw(vehicle, vehicle.initial_soc))
    return np.where(most < least_kw(charger)[0], 0.0, most)


def allowed_kw(vehicle: Vehicle, step: int, limits_kw: tuple[float, float]) -> tuple[float, float]:
    """Return what a person's orders leave of charge and discharge limits in a step."""
    charge, discharge = limits_kw
    for item in vehicle.overrides:
        if item.from_step <= step < item.to_step:
            most = 0.0 if item.kind == "hold" else item.max_kw
            if most is not None:
                charge, discharge = min(charge, most), min(discharge, most)
            if item.kind == "no_discharge":
                discharge = 0.0
    return charge, discharge
