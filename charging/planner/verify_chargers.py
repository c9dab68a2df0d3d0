"""Check which vehicle a plan puts on which charger, from the plan alone: a part of `verify`.

Nothing here comes from the planner's solving modules.
"""

from collections.abc import Iterator
from dataclasses import replace

from charging.planner.case import Charger, DepotCase, Vehicle
from charging.planner.duties import Away
from charging.planner.plan import DepotPlan, VehiclePlan
from charging.planner.plugs import ASSIGNED, Window

Fault = tuple[str, str, str]
"""A kind, a place and a sentence."""


def charger_faults(case: DepotCase, plan: DepotPlan) -> Iterator[Fault]:
    """Report chargers that two vehicles are on, that a vehicle may not use, and plugs moved against the rules."""
    free = [vehicle for vehicle in case.vehicles if vehicle.charger == ASSIGNED]
    owned = {vehicle.charger for vehicle in case.vehicles}
    for vehicle in free:
        row = plan.vehicles[vehicle.id].chargers
        if len(row) != case.steps:
            yield "charger", f"vehicle {vehicle.id}", "has no charger, or none, for each step"
            return
        yield from _own_faults(case, vehicle, row, owned)
    for step in range(case.steps):
        row_of_step = (plan.vehicles[vehicle.id].chargers[step] for vehicle in free)
        plugged = [charger for charger in row_of_step if charger is not None]
        if len(plugged) != len(set(plugged)):
            yield "charger", f"step {step}", "has two vehicles on one charger"
    yield from _swap_faults(case, plan, free)


def as_assigned(case: DepotCase, plan: DepotPlan) -> tuple[DepotCase, DepotPlan]:
    """Return case and plan as if each free vehicle had a charger of its own, and were off it where the plan says so."""
    chargers = {item.id: item for item in case.chargers}
    own: list[Charger] = []
    vehicles, powers = [], dict(plan.vehicles)
    for vehicle in case.vehicles:
        if vehicle.charger != ASSIGNED:
            vehicles.append(vehicle)
            continue
        planned = plan.vehicles[vehicle.id]
        used = next((name for name in planned.chargers if name is not None), None)
        like = Charger("", None, 0.0, 0.0, 1.0, 1.0) if used is None else chargers[used]
        own.append(replace(like, id=f"of {vehicle.id}"))
        off = tuple(Window(step, step + 1) for step, name in enumerate(planned.chargers) if name is None)
        vehicles.append(
            replace(vehicle, charger=own[-1].id, chargers=(), unplugged=(*vehicle.unplugged, *off))
        )
        powers[vehicle.id] = VehiclePlan(own[-1].id, planned.charge_kw, planned.discharge_kw, planned.soc)
    if not own:
        return case, plan
    return (
        replace(case, chargers=(*case.chargers, *own), vehicles=tuple(vehicles), swaps=None),
        replace(plan, vehicles=powers, swaps=()),
    )


def _own_faults(
    case: DepotCase, vehicle: Vehicle, row: tuple[str | None, ...], owned: set[str]
) -> Iterator[Fault]:
    place = f"vehicle {vehicle.id}"
    known = {item.id: item for item in case.chargers}
    used = {name for name in row if name is not None}
    for name in sorted(used):
        if name not in known or name in owned or (vehicle.chargers and name not in vehicle.chargers):
            yield "charger", place, f"is on charger {name}, which it may not use"
            return
    if len({replace(known[name], id="") for name in used}) > 1:
        yield "charger", place, "is on chargers of different kinds"
    for step, charger in enumerate(row):
        if charger is not None and _away(vehicle.away, step):
            yield "charger", f"{place}, step {step}", "is on a charger while it is away"


def _away(trips: tuple[Away, ...], step: int) -> bool:
    return any(trip.from_step <= step < trip.to_step for trip in trips)


def _swap_faults(case: DepotCase, plan: DepotPlan, free: list[Vehicle]) -> Iterator[Fault]:
    """Find the plugs that a person must have moved, and compare them with what the plan lists and the case allows."""
    moved = []
    for vehicle in free:
        for step in _plugged_by_a_person(case, plan, free, vehicle):
            name = plan.vehicles[vehicle.id].chargers[step]
            moved.append((step - (case.swaps.steps if case.swaps is not None else 0), name, vehicle.id))
            yield from _move_faults(case, plan, vehicle, step)
    most = case.swaps.max if case.swaps is not None else None
    if most is not None and len(moved) > most:
        yield "swap", "plan", f"moves {len(moved)} plugs where {most} may be moved"
    listed = sorted((item.step, item.charger, item.to_vehicle) for item in plan.swaps)
    if listed != sorted(moved):
        yield "swap", "plan", "does not list exactly the plugs that are moved"


def _plugged_by_a_person(
    case: DepotCase, plan: DepotPlan, free: list[Vehicle], vehicle: Vehicle
) -> Iterator[int]:
    row = plan.vehicles[vehicle.id].chargers
    for step, name in enumerate(row):
        before = vehicle.plugged_into if step == 0 else row[step - 1]
        if name is None or name == before:
            continue
        pulls_in = step > 0 and _away(vehicle.away, step - 1)
        if not pulls_in or _still_held(plan, free, vehicle, name, step):
            yield step


def _move_faults(case: DepotCase, plan: DepotPlan, vehicle: Vehicle, step: int) -> Iterator[Fault]:
    length = case.swaps.steps if case.swaps is not None else 0
    start, name = step - length, plan.vehicles[vehicle.id].chargers[step]
    if start < 0 or _away(vehicle.away, start):
        yield "swap", f"vehicle {vehicle.id}, step {step}", "is plugged in before a plug can be moved"
        return
    if case.swaps is not None and not case.swaps.staffed[start]:
        yield "swap", f"charger {name}, step {start}", "is to be moved while nobody is there"
    for earlier in range(start, step):
        users = [
            key for key, item in plan.vehicles.items() if item.chargers and item.chargers[earlier] == name
        ]
        if users or plan.vehicles[vehicle.id].chargers[earlier] is not None:
            yield "swap", f"charger {name}, step {earlier}", "is used while its plug is moved"


def _still_held(plan: DepotPlan, free: list[Vehicle], vehicle: Vehicle, name: str, step: int) -> bool:
    """Tell whether the plug of a charger is still that of another vehicle that has been parked since."""
    for earlier in range(step - 1, -2, -1):
        for one in free:
            plugged = one.plugged_into if earlier < 0 else plan.vehicles[one.id].chargers[earlier]
            if plugged == name:
                gone = any(_away(one.away, later) for later in range(max(0, earlier), step + 1))
                return one is not vehicle and not gone
    return False
