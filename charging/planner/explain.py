"""Say in sentences what each vehicle does and why, in the case's own offset."""

import math
from collections.abc import Iterator
from functools import partial

import numpy as np

from charging.planner.case import DepotCase, FloatArray, Vehicle
from charging.planner.orders import orders_told
from charging.planner.plan import Action, DepotPlan, Explanation, VehiclePlan
from charging.planner.taper import power_at
from depot.words import figures, tr

MOVING_KW = 1e-3


def explanations_of(case: DepotCase, plan: DepotPlan) -> dict[str, tuple[Explanation, ...]]:
    """Return, per vehicle, one explanation for each span of the same action; together they cover every step."""
    return {
        vehicle.id: tuple(_explain(case, plan, vehicle, span) for span in _spans(case, plan, vehicle))
        for vehicle in case.vehicles
    }


Span = tuple[int, int, Action]


def _spans(case: DepotCase, plan: DepotPlan, vehicle: Vehicle) -> Iterator[Span]:
    actions = _actions(case, plan.vehicles[vehicle.id], vehicle)
    start = 0
    for step in range(1, case.steps + 1):
        if step == case.steps or actions[step] != actions[start]:
            yield start, step, actions[start]
            start = step


def _actions(case: DepotCase, powers: VehiclePlan, vehicle: Vehicle) -> list[Action]:
    actions: list[Action] = ["wait"] * case.steps
    for step in np.flatnonzero(powers.charge_kw > MOVING_KW):
        actions[step] = "charge"
    for step in np.flatnonzero(powers.discharge_kw > MOVING_KW):
        actions[step] = "discharge"
    for trip in vehicle.away:
        actions[trip.from_step : trip.to_step] = ["away"] * (trip.to_step - trip.from_step)
    return actions


def _explain(case: DepotCase, plan: DepotPlan, vehicle: Vehicle, span: Span) -> Explanation:
    start, end, action = span
    told = {"charge": _why_charge, "discharge": _why_discharge, "wait": _why_wait, "away": _why_away}[action]
    times = f"{_clock(case, start)}-{_clock(case, end)}"
    because = told(case, plan, vehicle, start, end).replace("{span}", times)
    ordered = "" if action == "away" else orders_told(vehicle, start, end, partial(_clock, case))
    return Explanation(start, end, action, f"{because}; {ordered}" if ordered else because)


def _clock(case: DepotCase, boundary: int) -> str:
    minutes = case.start.hour * 60 + case.start.minute + boundary * case.step_minutes
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


def _money(case: DepotCase, amount: float) -> str:
    return f"{figures(f'{amount:.2f}')} {case.currency}".strip()


def _share(fraction: float) -> str:
    return f"{100 * fraction:.0f} %"


def _why_charge(case: DepotCase, plan: DepotPlan, vehicle: Vehicle, start: int, end: int) -> str:
    price = _mean_price(plan.marginal_price_per_kwh, plan.vehicles[vehicle.id].charge_kw, start, end)
    worth = tr("a kWh costs the depot {price} here, demand charges included", price=_money(case, price))
    slowed = _tapered(case, plan, vehicle, start, end)
    return tr(
        "charging {{span}}: {worth}{slowed}; {ready}",
        worth=worth,
        slowed=slowed,
        ready=_readiness(case, plan, vehicle, end),
    )


def _tapered(case: DepotCase, plan: DepotPlan, vehicle: Vehicle, start: int, end: int) -> str:
    """Say from where on the battery takes no more than it is given, "" where it never does."""
    powers = plan.vehicles[vehicle.id]
    for step in range(start, end):
        taken = power_at(vehicle, float(powers.soc[step]) * vehicle.capacity_kwh)
        below_first = vehicle.taper and taken < vehicle.taper[0].max_charge_kw - MOVING_KW
        if below_first and powers.charge_kw[step] > taken - MOVING_KW:
            return tr(
                ", from {at} on the battery takes {taken:.0f} kW or less",
                at=_clock(case, step),
                taken=taken,
            )
    return ""


def _why_discharge(case: DepotCase, plan: DepotPlan, vehicle: Vehicle, start: int, end: int) -> str:
    price = _mean_price(plan.marginal_price_per_kwh, plan.vehicles[vehicle.id].discharge_kw, start, end)
    wear = tr(
        "wear costs {price}/kWh",
        price=_money(case, _wear_per_kwh(vehicle, plan.vehicles[vehicle.id], start, end)),
    )
    worth = tr(
        "the depot's power is worth {price}/kWh until {until}, {wear}",
        price=_money(case, price),
        until=_clock(case, end),
        wear=wear,
    )
    return tr(
        "discharging {{span}}: {worth}; {ready}", worth=worth, ready=_readiness(case, plan, vehicle, end)
    )


def _wear_per_kwh(vehicle: Vehicle, powers: VehiclePlan, start: int, end: int) -> float:
    """Return the mean wear price of what is discharged in a span, by the bands that it leaves from."""
    if not vehicle.wear_bands:
        return vehicle.wear_cost_per_kwh
    wear, used, low = 0.0, max(1e-9, float(powers.soc[start] - powers.soc[end])), -math.inf
    for band in vehicle.wear_bands:
        in_band = min(float(powers.soc[start]), band.below_soc) - max(float(powers.soc[end]), low)
        wear, low = wear + band.cost_per_kwh * max(0.0, in_band), band.below_soc
    return wear / used


def _why_wait(case: DepotCase, plan: DepotPlan, vehicle: Vehicle, start: int, end: int) -> str:
    powers = plan.vehicles[vehicle.id]
    later = np.flatnonzero(powers.charge_kw[end:] > MOVING_KW)
    leaves = _next_departure(case, vehicle, start)
    before = leaves is None or (later.size > 0 and end + later[0] < leaves)
    if later.size and before:
        step = end + int(later[0])
        price = _money(case, float(plan.marginal_price_per_kwh[step]))
        reason = tr(
            "charging is better at {at}, where a kWh costs {price}", at=_clock(case, step), price=price
        )
    else:
        reason = tr("neither charging nor discharging is worth more than it costs")
    return tr(
        "waiting {{span}}: {reason}; {ready}", reason=reason, ready=_readiness(case, plan, vehicle, end)
    )


def _why_away(case: DepotCase, plan: DepotPlan, vehicle: Vehicle, start: int, end: int) -> str:
    used = sum(
        trip.energy_kwh
        * (min(end, trip.to_step) - max(start, trip.from_step))
        / (trip.to_step - trip.from_step)
        for trip in vehicle.away
        if trip.from_step < end and trip.to_step > start
    )
    soc = plan.vehicles[vehicle.id].soc
    return tr(
        "away {{span}}: driving uses {used:.1f} kWh, from {before} to {after}",
        used=used,
        before=_share(soc[start]),
        after=_share(soc[end]),
    )


def _mean_price(prices: FloatArray, power_kw: FloatArray, start: int, end: int) -> float:
    """Return the price over a span, weighted with the power that is moved."""
    return float(prices[start:end] @ power_kw[start:end] / power_kw[start:end].sum())


def _next_departure(case: DepotCase, vehicle: Vehicle, boundary: int) -> int | None:
    return min((trip.from_step for trip in vehicle.away if trip.from_step >= boundary), default=None)


def _readiness(case: DepotCase, plan: DepotPlan, vehicle: Vehicle, boundary: int) -> str:
    """Say how the vehicle stands at its next departure, or at its next target where it does not leave."""
    leaves = _next_departure(case, vehicle, boundary)
    targets = [item for item in vehicle.targets if item.boundary >= boundary]
    if leaves is None and not targets:
        return tr("it has no departure ahead")
    when = leaves if leaves is not None else targets[0].boundary
    wanted = max((item.soc for item in targets if item.boundary == when), default=vehicle.min_soc)
    spare = float(plan.vehicles[vehicle.id].soc[when]) - wanted
    what = tr("next departure") if leaves is not None else tr("target")
    if spare < -1e-4:
        return tr(
            "by {at} it is {missing} short of its {what}",
            at=_clock(case, when),
            missing=_share(-spare),
            what=what,
        )
    return tr(
        "ready for its {what} by {at} with {spare} to spare",
        what=what,
        at=_clock(case, when),
        spare=_share(max(0.0, spare)),
    )
