"""A second set of charging powers for the bad day, which begins as the plan does."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pulp

from charging.planner.case import Vehicle
from charging.planner.reference.model import Model, StoreColumns, switch_of, variable
from charging.planner.reference.orders import ordered_powers
from charging.planner.reference.stores import hold_taper, least_powers
from charging.planner.rolling import BadDay
from charging.planner.values import UNLIMITED, TaperPoint


@dataclass(frozen=True, slots=True)
class _Holder:
    """What holds energy on the bad day: when it is there, most power and use of each step, what is wanted when.

    `begun` is charge and discharge of each step in the plan, with what is lost of both.
    """

    name: str
    charger: str | None
    node: str | None
    phase: int | None
    here: list[bool]
    most_kw: list[float]
    use_kwh: list[float]
    capacity_kwh: float
    initial_kwh: float
    full_kwh: float
    efficiency: tuple[float, float]
    wanted_kwh: list[tuple[int, float]]
    begun: list[Any]
    least_kw: float = 0.0
    loss_kw: float = 0.0
    taper: tuple[TaperPoint, ...] = ()


def add_bad_day(model: Model, day: BadDay) -> None:
    """Add charging on the bad day within its limits, and what it misses at "must" targets.

    In the first steps each device does what the plan does, if it is there; later nothing is discharged.
    """
    case = model.case
    holders = [*_vehicles(model), *_batteries(model), *_loads(model)]
    charges = {holder.name: _add_holder(model, holder, day.replan_steps) for holder in holders}
    for number, (vehicle, holder) in enumerate(zip(case.vehicles, holders, strict=False)):
        _add_ready(model, number, vehicle, holder)
    for step in range(day.replan_steps, case.steps):
        left = case.site.import_limit_kw[step] - day.building_load_kw[step] + day.solar_kw[step]
        model.add(pulp.lpSum(powers[step] for powers in charges.values()) <= max(0.0, float(left)))
        _add_shared(model, holders, charges, step)


def _add_holder(model: Model, holder: _Holder, begun_steps: int) -> list[Any]:
    """Add the powers, energies and targets of one device and return its powers."""
    powers: list[Any] = []
    energy: list[Any] = [holder.initial_kwh]
    reach = holder.capacity_kwh + holder.initial_kwh + sum(holder.use_kwh)
    for step, most in enumerate(holder.most_kw):
        label = f"b{holder.name}_{step}"
        begun = step < begun_steps
        charge, discharge, lost = holder.begun[step] if begun and holder.here[step] else (0.0, 0.0, 0.0)
        if not begun:
            charge, charging = variable(label, most), switch_of(model, f"bs_{label}")
            model.add(charge <= most * charging)
            model.add(charge >= holder.least_kw * charging)
            lost = holder.loss_kw * charging
            if holder.taper:
                hold_taper(model, label, charge, (energy[-1], holder.capacity_kwh, reach), holder.taper)
        gained = charge * holder.efficiency[0] - discharge * (1.0 / holder.efficiency[1]) - lost
        after = variable(f"be_{label}", None, None)
        model.add(after == energy[-1] + model.case.hours * gained - holder.use_kwh[step])
        if not begun:
            model.add(after <= holder.full_kwh + reach * (1 - charging))
        powers.append(charge)
        energy.append(after)
    for number, (boundary, wanted) in enumerate(holder.wanted_kwh):
        missing = variable(f"bm_{holder.name}_{number}")
        model.add(energy[boundary] + missing >= wanted)
        model.bad_day_missing.append(missing)
    return powers


def _add_ready(model: Model, number: int, vehicle: Vehicle, holder: _Holder) -> None:
    """Add what a vehicle lacks, when it leaves, of the energy that takes it to all later targets on the bad day."""
    energy = model.stores[number].energy
    needed = _needed_kwh(model.case.hours, holder)
    for trip in vehicle.away:
        if trip.from_step > 0 and needed[trip.from_step] > 0.0:
            missing = variable(f"br_{number}_{trip.from_step}")
            model.add(energy[trip.from_step] + missing >= needed[trip.from_step])
            model.unprepared.append(missing)


def _needed_kwh(hours: float, holder: _Holder) -> list[float]:
    """Return the least energy at each boundary from which charging at full power reaches all later targets."""
    steps = len(holder.most_kw)
    wanted = [
        max([kwh for at, kwh in holder.wanted_kwh if at == boundary], default=float("-inf"))
        for boundary in range(steps + 1)
    ]
    needed = wanted[:]
    for step in reversed(range(steps)):
        after = needed[step + 1]
        most = min(holder.most_kw[step], _taken_kw(holder, max(after, 0.0)))
        before = after + holder.use_kwh[step] - hours * max(0.0, holder.efficiency[0] * most - holder.loss_kw)
        needed[step] = max(wanted[step], min(before, holder.full_kwh))
    return needed


def _taken_kw(holder: _Holder, energy_kwh: float) -> float:
    """Return the power of a taper at an energy: straight between its points, flat before and after them."""
    if not holder.taper:
        return UNLIMITED
    points = [(point.soc * holder.capacity_kwh, point.max_charge_kw) for point in holder.taper]
    for (low, low_kw), (high, high_kw) in pairwise(points):
        if low <= energy_kwh <= high:
            return low_kw + (high_kw - low_kw) * (energy_kwh - low) / (high - low)
    return points[0][1] if energy_kwh < points[0][0] else points[-1][1]


def _vehicles(model: Model) -> list[_Holder]:
    case = model.case
    chargers = {charger.id: charger for charger in case.chargers}
    found = []
    for number, vehicle in enumerate(case.vehicles):
        charger = chargers[vehicle.charger]
        use, here = _bad_trips(vehicle, case.steps)
        most = charger.max_charge_kw
        most = most if vehicle.max_charge_kw is None else min(most, vehicle.max_charge_kw)
        columns = model.stores[number]
        found.append(
            _Holder(
                name=f"v{number}",
                charger=charger.id,
                node=charger.node,
                phase=charger.phase,
                here=here,
                most_kw=[
                    power
                    for power, _ in ordered_powers(
                        vehicle, [(most if is_here else 0.0, 0.0) for is_here in here]
                    )
                ],
                use_kwh=use,
                capacity_kwh=vehicle.capacity_kwh,
                initial_kwh=vehicle.initial_soc * vehicle.capacity_kwh,
                full_kwh=vehicle.max_soc * vehicle.capacity_kwh,
                efficiency=(charger.charge_efficiency, charger.discharge_efficiency),
                wanted_kwh=[
                    (item.boundary, item.soc * vehicle.capacity_kwh)
                    for item in vehicle.targets
                    if item.tier == "must"
                ],
                begun=_begun(columns),
                least_kw=least_powers(charger, (0.0, 0.0))[0],
                loss_kw=charger.charge_loss_kw,
                taper=vehicle.taper,
            )
        )
    return found


def _begun(columns: StoreColumns) -> list[Any]:
    """Return charge, discharge and what is lost of both in each step of the plan."""
    steps = zip(columns.charge, columns.discharge, columns.lost_kw, strict=True)
    return [(charge, discharge, lost[0] + lost[1]) for charge, discharge, lost in steps]


def _bad_trips(vehicle: Vehicle, steps: int) -> tuple[list[float], list[bool]]:
    """Return the use of each step and when the vehicle is at its charger on the bad day."""
    use, here = [0.0] * steps, [True] * steps
    for number, trip in enumerate(vehicle.away):
        following = vehicle.away[number + 1].from_step if number + 1 < len(vehicle.away) else steps
        end = min(trip.to_step + trip.late_steps, following)
        for step in range(trip.from_step, end):
            use[step] = (trip.energy_kwh + trip.extra_kwh) / (end - trip.from_step)
            here[step] = False
    for window in vehicle.unplugged:
        here[window.from_step : window.to_step] = [False] * (window.to_step - window.from_step)
    return use, here


def _batteries(model: Model) -> list[_Holder]:
    steps, first = model.case.steps, len(model.case.vehicles)
    return [
        _Holder(
            name=f"s{number}",
            charger=None,
            node=item.node,
            phase=None,
            here=[True] * steps,
            most_kw=[item.max_charge_kw] * steps,
            use_kwh=[0.0] * steps,
            capacity_kwh=item.capacity_kwh,
            initial_kwh=item.initial_soc * item.capacity_kwh,
            full_kwh=item.max_soc * item.capacity_kwh,
            efficiency=(item.charge_efficiency, item.discharge_efficiency),
            wanted_kwh=[(steps, item.final_soc * item.capacity_kwh)],
            begun=_begun(columns),
            least_kw=least_powers(item, (0.0, 0.0))[0],
            loss_kw=item.charge_loss_kw,
        )
        for number, (item, columns) in enumerate(zip(model.case.storage, model.stores[first:], strict=True))
    ]


def _loads(model: Model) -> list[_Holder]:
    steps = range(model.case.steps)
    return [
        _Holder(
            name=f"f{number}",
            charger=None,
            node=load.node,
            phase=None,
            here=[load.from_step <= step < load.to_step for step in steps],
            most_kw=[load.max_kw if load.from_step <= step < load.to_step else 0.0 for step in steps],
            use_kwh=[0.0] * len(steps),
            capacity_kwh=load.energy_kwh,
            initial_kwh=0.0,
            full_kwh=load.energy_kwh,
            efficiency=(1.0, 1.0),
            wanted_kwh=[(load.to_step, load.energy_kwh)],
            begun=[(power, 0.0, 0.0) for power in model.load_kw[number]],
        )
        for number, load in enumerate(model.case.flexible_loads)
    ]


def _add_shared(model: Model, holders: list[_Holder], charges: dict[str, list[Any]], step: int) -> None:
    """Hold nodes, their phases, and chargers with more than one vehicle within their limits in a step."""
    case = model.case
    for charger in case.chargers:
        users = [charges[item.name][step] for item in holders if item.charger == charger.id]
        model.add(pulp.lpSum(users) <= charger.max_charge_kw)
    parents = {node.id: node.parent for node in case.site.nodes}
    for node in case.site.nodes:
        below = [item for item in holders if _is_below(item.node, node.id, parents)]
        if node.import_limit_kw[step] < UNLIMITED:
            model.add(
                pulp.lpSum(charges[item.name][step] for item in below) <= float(node.import_limit_kw[step])
            )
        if node.phase_limit_kw is None or node.phase_limit_kw[step] >= UNLIMITED:
            continue
        for phase in (1, 2, 3):
            shares = [
                (item, 1.0 / 3.0 if item.phase is None else float(item.phase == phase)) for item in below
            ]
            load = pulp.lpSum(share * charges[item.name][step] for item, share in shares)
            model.add(load <= float(node.phase_limit_kw[step]))


def _is_below(name: str | None, node: str, parents: dict[str, str | None]) -> bool:
    while name is not None and name != node:
        name = parents[name]
    return name is not None
