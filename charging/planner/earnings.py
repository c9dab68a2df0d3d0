"""What a decision earns and what it costs beside energy: programme events, frequency reserve, standing, throughput."""

from itertools import pairwise

import numpy as np

from charging.planner.case import DepotCase, FloatArray, Vehicle
from charging.planner.demand import DemandCharge
from charging.planner.devices import Devices
from charging.planner.plan import EventPlan, ReservePlan, SiteFlows
from charging.planner.values import Event, Frequency


def demand_cost(charge: DemandCharge, peaks_kw: FloatArray) -> float:
    """Return what the peaks of the billing periods cost above what is billed so far."""
    billed = charge.billed_kw_so_far
    if not charge.tiers:
        return charge.price_per_kw * float(np.maximum(0.0, peaks_kw - billed).sum())
    edges = [*(tier.from_kw for tier in charge.tiers), np.inf]
    return sum(
        tier.price_per_kw * float((np.clip(peaks_kw, low, high) - np.clip(billed, low, high)).clip(0.0).sum())
        for tier, (low, high) in zip(charge.tiers, pairwise(edges), strict=True)
    )


def delivered_to(case: DepotCase, event: Event, flows: SiteFlows) -> EventPlan:
    """Return what the flows deliver to an event in each step of the case, and its pay."""
    room = (
        event.baseline_kw - flows.import_kw if event.kind == "reduce" else flows.export_kw - event.baseline_kw
    )
    delivered = np.clip(room, 0.0, event.cap_kw)
    # What the solver rounds must not cost the whole step.
    delivered[delivered < event.min_kw - 1e-6] = 0.0
    delivered[: event.from_step] = delivered[event.to_step :] = 0.0
    return EventPlan(delivered, float(delivered.sum()) * pay_per_kw_step(case, event))


def pay_per_kw_step(case: DepotCase, event: Event) -> float:
    """Return what one kW delivered over one step of an event earns."""
    return case.hours * event.pay_per_kwh + event.pay_per_kw / (event.to_step - event.from_step)


def reserve_of(
    devices: Devices, frequency: Frequency, net_kw: FloatArray, path_kwh: FloatArray
) -> ReservePlan:
    """Return the most frequency reserve that powers (D, T; net of discharge) and energies (D, T + 1) leave free."""
    count = devices.vehicle_count + devices.battery_count
    net, plugged = net_kw[:count], devices.plugged[:count]
    lower = np.minimum(path_kwh[:count, :-1], path_kwh[:count, 1:])
    higher = np.maximum(path_kwh[:count, :-1], path_kwh[:count, 1:])
    floor = devices.discharge_floor_kwh + frequency.hours * devices.discharge_loss_kw
    gives = (lower - floor[:count, None]).clip(0.0) * (
        devices.discharge_efficiency[:count, None] / frequency.hours
    )
    takes = (devices.ceiling_kwh[:count, None] - higher).clip(0.0) / (
        devices.charge_efficiency[:count, None] * frequency.hours
    )
    up = np.minimum(devices.discharge_limit_kw[:count] + net, gives).clip(0.0) * plugged
    most = np.minimum(devices.charge_limit_kw, devices.tapers.most_kw(path_kwh[:, :-1]))[:count]
    down = np.minimum(most - net, takes).clip(0.0) * plugged
    return ReservePlan(up.sum(axis=0), down.sum(axis=0), 0.0)


def held_at_site(case: DepotCase, frequency: Frequency, free: ReservePlan, flows: SiteFlows) -> ReservePlan:
    """Return what the grid connection and the programme leave of the devices' free reserve, and its pay."""
    net = flows.import_kw - flows.export_kw
    paid = frequency.pay_per_kw_h > 0.0
    up = (
        np.minimum(np.minimum(free.up_kw, case.site.export_limit_kw + net), frequency.max_kw).clip(0.0) * paid
    )
    down = np.minimum(np.minimum(free.down_kw, case.site.import_limit_kw - net), frequency.max_kw)
    down = down.clip(0.0) * paid
    if frequency.symmetric:
        up = down = np.minimum(up, down)
    offered = up if frequency.symmetric else up + down
    return ReservePlan(up, down, case.hours * float(frequency.pay_per_kw_h @ offered))


def throughput_cost(vehicle: Vehicle, leaving_kwh: float) -> float:
    """Return the price on what leaves a battery over the horizon, in blocks whose price rises."""
    edges = [0.0, *(item.up_to_kwh for item in vehicle.throughput)]
    return sum(
        item.price_per_kwh * float(np.clip(leaving_kwh, low, high) - low)
        for item, (low, high) in zip(vehicle.throughput, pairwise(edges), strict=True)
    )


def standing_cost(case: DepotCase, devices: Devices, path_kwh: FloatArray) -> float:
    """Return what standing at a high SoC costs over all steps at the depot."""
    total = 0.0
    for row, vehicle in enumerate(case.vehicles):
        if vehicle.standing is not None:
            above = (path_kwh[row, 1:] - vehicle.standing.above_soc * vehicle.capacity_kwh).clip(0.0)
            total += case.hours * vehicle.standing.cost_per_kwh_h * float(above @ devices.plugged[row])
    return total


def ready_kwh(devices: Devices, path_kwh: FloatArray) -> FloatArray:
    """Return the backup energy ready at the end of each step: above the minimum, in what can discharge there."""
    able = devices.discharge_limit_kw > 0.0
    ready: FloatArray = ((path_kwh[:, 1:] - devices.floor_kwh[:, None]).clip(0.0) * able).sum(axis=0)
    return ready


def most_earned(case: DepotCase, devices: Devices) -> float:
    """Return more than any plan can earn from events and reserve; it serves crude bounds."""
    reach = devices.charge_limit_kw.sum(axis=0) + devices.discharge_limit_kw.sum(axis=0)
    earned = 0.0
    for event in case.events:
        span = slice(event.from_step, event.to_step)
        most = (
            event.baseline_kw[span]
            if event.kind == "reduce"
            else (reach + case.site.solar_kw + case.site.building_load_kw.clip(None, 0.0) * -1.0)[span]
        )
        earned += pay_per_kw_step(case, event) * float(np.minimum(most, event.cap_kw).clip(0.0).sum())
    if case.reserve is not None and case.reserve.frequency is not None:
        offered = np.minimum(reach, case.reserve.frequency.max_kw)
        ways = 1 if case.reserve.frequency.symmetric else 2
        earned += ways * case.hours * float(case.reserve.frequency.pay_per_kw_h @ offered)
    return earned
