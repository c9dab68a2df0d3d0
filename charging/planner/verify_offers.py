"""Check what a plan says of events, reserve and wear prices, from its powers alone: a part of `verify`.

Nothing here comes from the planner's solving modules.
"""

from collections.abc import Iterator

import numpy as np

from charging.planner.case import Charger, DepotCase, FloatArray, Storage, Vehicle
from charging.planner.demand import DemandCharge
from charging.planner.plan import DepotPlan, StoragePlan, VehiclePlan
from charging.planner.values import Event, Frequency
from charging.planner.verify_orders import allowed_kw
from charging.planner.verify_physics import taken_kw

POWER_KW = 1e-3
ENERGY_KWH = 2e-3

Fault = tuple[str, str, str]
"""A kind, a place and a sentence."""


def _off_charger(vehicle: Vehicle) -> set[int]:
    """Return the steps in which a vehicle is away, or at the depot but on no charger."""
    spans = [(trip.from_step, trip.to_step) for trip in vehicle.away]
    spans += [(window.from_step, window.to_step) for window in vehicle.unplugged]
    return {step for first, last in spans for step in range(first, last)}


def offer_faults(case: DepotCase, plan: DepotPlan) -> Iterator[Fault]:
    """Report events and reserve that the powers do not deliver, and backup that is missing without a word."""
    if set(plan.events) != {event.id for event in case.events}:
        yield "events", "plan", "does not hold exactly the case's events"
        return
    for event in case.events:
        yield from _event_faults(case, plan, event)
    if case.reserve is not None:
        yield from _backup_faults(case, plan, case.reserve.backup_kwh)
        if case.reserve.frequency is not None:
            yield from _frequency_faults(case, plan, case.reserve.frequency)


def demand_due(charge: DemandCharge, peaks_kw: list[float]) -> float:
    """Return what peaks cost above what is billed, kW by kW through the tiers."""

    def price_of(peak_kw: float) -> float:
        if not charge.tiers:
            return charge.price_per_kw * peak_kw
        total, upper = 0.0, peak_kw
        for tier in reversed(charge.tiers):
            total += tier.price_per_kw * max(0.0, upper - tier.from_kw)
            upper = min(upper, tier.from_kw)
        return total

    pairs = zip(peaks_kw, charge.billed_kw_so_far.tolist(), strict=True)
    return sum(price_of(max(peak, billed)) - price_of(billed) for peak, billed in pairs)


def throughput_due(vehicle: Vehicle, leaving_kwh: float) -> float:
    """Return the price on what leaves a battery over the horizon."""
    due, start = 0.0, 0.0
    for item in vehicle.throughput:
        due += item.price_per_kwh * max(0.0, min(leaving_kwh, item.up_to_kwh) - start)
        start = item.up_to_kwh
    return due


def standing_due(case: DepotCase, plan: DepotPlan) -> float:
    """Return what standing above a SoC costs, at the end of every step at the depot."""
    due = 0.0
    for vehicle in case.vehicles:
        if vehicle.standing is None:
            continue
        away = _off_charger(vehicle)
        for step, soc in enumerate(plan.vehicles[vehicle.id].soc[1:].tolist()):
            if step not in away:
                above = max(0.0, soc - vehicle.standing.above_soc) * vehicle.capacity_kwh
                due += case.hours * vehicle.standing.cost_per_kwh_h * above
    return due


def programme_income(case: DepotCase, plan: DepotPlan) -> float:
    """Return what the plan's deliveries and reserve are paid."""
    income = 0.0
    for event in case.events:
        delivered = plan.events[event.id].delivered_kw
        income += event.pay_per_kwh * case.hours * float(delivered.sum())
        income += event.pay_per_kw * float(delivered[event.from_step : event.to_step].mean())
    if plan.reserve is not None and case.reserve is not None and case.reserve.frequency is not None:
        frequency = case.reserve.frequency
        offered = plan.reserve.up_kw + (0.0 if frequency.symmetric else plan.reserve.down_kw)
        income += case.hours * float((frequency.pay_per_kw_h * offered).sum())
    return income


def _event_faults(case: DepotCase, plan: DepotPlan, event: Event) -> Iterator[Fault]:
    delivered = plan.events[event.id].delivered_kw
    for step, power in enumerate(delivered.tolist()):
        place = f"event {event.id}, step {step}"
        inside = event.from_step <= step < event.to_step
        if event.kind == "reduce":
            room = float(event.baseline_kw[step] - plan.site.import_kw[step])
        else:
            room = float(plan.site.export_kw[step] - event.baseline_kw[step])
        if power < 0.0 or (power > 0.0 and not inside):
            yield "event", place, "delivers outside its window or less than nothing"
        elif power > min(max(room, 0.0), event.cap_kw) + POWER_KW:
            yield "event", place, f"claims {power:.3f} kW where {max(room, 0.0):.3f} kW are delivered"
        elif 0.0 < power < event.min_kw - POWER_KW:
            yield "event", place, "is paid for less than its least power"


def _backup_faults(case: DepotCase, plan: DepotPlan, wanted_kwh: FloatArray) -> Iterator[Fault]:
    named = np.zeros(case.steps)
    for item in plan.exceeded_limits:
        if item.kind == "backup":
            named[item.from_step : item.to_step] = item.worst
    for step in np.flatnonzero(wanted_kwh > 0.0).tolist():
        ready = sum(
            max(0.0, soc[step + 1] - least) * capacity
            for soc, least, capacity, can in _stores(case, plan, step)
            if can[1] > 0.0
        )
        if wanted_kwh[step] - ready > named[step] + ENERGY_KWH:
            yield "backup", f"step {step}", f"{wanted_kwh[step] - ready:.3f} kWh are missing, unnamed"


def _stores(
    case: DepotCase, plan: DepotPlan, step: int
) -> Iterator[tuple[FloatArray, float, float, tuple[float, float]]]:
    """Give SoC trace, least SoC, capacity, and power limits in a step of all that is plugged in then."""
    chargers = {charger.id: charger for charger in case.chargers}
    for item in case.vehicles:
        if step in _off_charger(item):
            continue
        charger = chargers[item.charger]
        limits = (
            min(
                charger.max_charge_kw,
                _or(item.max_charge_kw),
                taken_kw(item, float(plan.vehicles[item.id].soc[step])),
            ),
            min(charger.max_discharge_kw, _or(item.max_discharge_kw)) if item.v2g else 0.0,
        )
        yield plan.vehicles[item.id].soc, item.min_soc, item.capacity_kwh, allowed_kw(item, step, limits)
    for battery in case.storage:
        limits = (battery.max_charge_kw, battery.max_discharge_kw)
        yield plan.storage[battery.id].soc, battery.min_soc, battery.capacity_kwh, limits


def _or(limit_kw: float | None) -> float:
    return float("inf") if limit_kw is None else limit_kw


def _frequency_faults(case: DepotCase, plan: DepotPlan, frequency: Frequency) -> Iterator[Fault]:
    if plan.reserve is None:
        yield "frequency", "plan", "does not say what reserve is held"
        return
    up, down = plan.reserve.up_kw, plan.reserve.down_kw
    if frequency.symmetric and np.abs(up - down).max() > POWER_KW:
        yield "frequency", "plan", "holds more one way than the other in a symmetric programme"
    net = plan.site.import_kw - plan.site.export_kw
    for step in np.flatnonzero((up > 0.0) | (down > 0.0)).tolist():
        free_up, free_down = _free(case, plan, frequency, step)
        free_up = min(free_up, frequency.max_kw, float(case.site.export_limit_kw[step] + net[step]))
        free_down = min(free_down, frequency.max_kw, float(case.site.import_limit_kw[step] - net[step]))
        if up[step] > max(0.0, free_up) + POWER_KW or down[step] > max(0.0, free_down) + POWER_KW:
            yield "frequency", f"step {step}", "more reserve is sold than power and energy can hold"


def _free(case: DepotCase, plan: DepotPlan, frequency: Frequency, step: int) -> tuple[float, float]:
    """Return the reserve that vehicles and batteries can hold up and down in a step."""
    chargers = {charger.id: charger for charger in case.chargers}
    holders: list[tuple[VehiclePlan | StoragePlan, Charger | Storage, tuple[float, float], float]] = [
        (
            plan.vehicles[item.id],
            chargers[item.charger],
            (max(item.min_soc, item.v2g_min_soc), item.max_soc),
            item.capacity_kwh,
        )
        for item in case.vehicles
        if step not in _off_charger(item)
    ] + [
        (
            plan.storage[item.id],
            item,
            (item.min_soc, item.max_soc),
            item.capacity_kwh,
        )
        for item in case.storage
    ]
    limits = [limit for *_, limit in _stores(case, plan, step)]
    up = down = 0.0
    for (powers, station, (low, high), capacity), (charge, discharge) in zip(holders, limits, strict=True):
        net = float(powers.charge_kw[step] - powers.discharge_kw[step])
        ends = powers.soc[step : step + 2] * capacity
        gives = (float(ends.min()) - low * capacity) / frequency.hours - station.discharge_loss_kw
        gives *= station.discharge_efficiency
        takes = (high * capacity - float(ends.max())) / (station.charge_efficiency * frequency.hours)
        up += max(0.0, min(discharge + net, gives))
        down += max(0.0, min(charge - net, takes))
    return up, down
