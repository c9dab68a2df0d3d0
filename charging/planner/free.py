"""Plan a case in which vehicles have no charger of their own: assign chargers, plan, try again, bound.

With its chargers assigned a case is an ordinary one: each vehicle has a charger, and steps in which it is on none. A
case in which every vehicle has a charger of its own, and all of them share the power of the chargers there are, bounds
the cost from below.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from charging.planner.assign import NEVER, Wishes, assigned, begun_early, chosen_kinds, kinds_of
from charging.planner.case import Charger, DepotCase, Node, Vehicle
from charging.planner.causes import PRICE
from charging.planner.devices import Problem, problem_of
from charging.planner.fallback import latest_needs
from charging.planner.plan import DepotPlan, Seconds, Shortfall, Status, VehiclePlan
from charging.planner.plugs import ASSIGNED, Occupancy, Window, at_depot, swaps_of
from charging.planner.rules import cheapest_thinkable

NO_FREE_CHARGER = "no free charger"
POOL = "~pool"
NO_CHARGER = Charger("~none", None, 0.0, 0.0, 1.0, 1.0)
MARGINS = (0.0, 0.5, 2.0)
"""Margins for moving a plug, in steps of full power; then only what is urgent moves one."""
TRIES = 200
WEIGHTS = (0.0, 0.3, 1.0, 3.0)
SHY = 0.2
PATIENCE = (1.0, 1.0, 2.0, 4.0, 8.0, -1e9)
"""In steps; the last one is never urgent."""
SAME_KWH = 2e-3
SHARE_OF_TIME = 2.0
LEAST_SECONDS = 1.0

Solver = Callable[[DepotCase, float], DepotPlan]


def has_free(case: DepotCase) -> bool:
    """Tell whether the planner has to assign chargers."""
    return any(vehicle.charger == ASSIGNED for vehicle in case.vehicles)


@dataclass(frozen=True, slots=True, eq=False)
class _Yard:
    """A case with its free vehicles, the chargers that they may be given, and the kind that each keeps to."""

    case: DepotCase
    free: tuple[Vehicle, ...]
    kinds: list[list[str]]
    kind_of: list[int | None]
    relaxed: Problem


def solved(case: DepotCase, time_limit_seconds: float, gap: float, solver: Solver) -> DepotPlan:
    """Return the best plan found for a case with free vehicles; `solver` plans ordinary cases.

    The time that assigning may take is twice that of the case in which every vehicle has a charger of its own, one
    second at least, and never more than the limit.
    """
    started = time.perf_counter()
    relaxed_case = relaxed(case)
    bounding = solver(relaxed_case, time_limit_seconds / 3)
    yard = _yard(case, relaxed_case)
    spent = time.perf_counter() - started
    until = started + min(0.9 * time_limit_seconds, spent + max(SHARE_OF_TIME * spent, LEAST_SECONDS))
    best: tuple[tuple[float, ...], DepotPlan] | None = None
    seen: set[tuple[tuple[str | None, ...], ...]] = set()
    for occupancy in _occupancies(yard, bounding):
        key = tuple(tuple(row) for row in occupancy.values())
        if key in seen:
            continue
        seen.add(key)
        left = started + time_limit_seconds - time.perf_counter()
        plan = solver(_fixed(yard, occupancy), max(0.1, left / 2))
        plan = _with_chargers(yard, plan, occupancy)
        rank = rank_of(case, plan)
        if best is None or rank < best[0]:
            best = rank, plan
        bound = rank_of(case, bounding)
        near = _goals(rank) == _goals(bound) and rank[-1] - bound[-1] <= gap * abs(plan.objective)
        if near or time.perf_counter() > until:
            break
    if best is None:
        raise RuntimeError("no assignment of chargers was tried")
    ended = time.perf_counter()
    plan = _bounded(yard, best[1], bounding, gap)
    return replace(plan, seconds=Seconds(plan.seconds.build, ended - started, ended - started))


def by_rules(case: DepotCase, solver: Callable[[DepotCase], DepotPlan]) -> DepotPlan:
    """Return a plan by rules alone: the first assignment, for the wishes of the rule-based plan."""
    relaxed_case = relaxed(case)
    yard = _yard(case, relaxed_case)
    occupancy = next(_occupancies(yard, solver(relaxed_case)))
    plan = _with_chargers(yard, solver(_fixed(yard, occupancy)), occupancy)
    crude = cheapest_thinkable(yard.relaxed)
    bound = min(plan.bound, crude)
    return replace(plan, bound=bound, gap=_gap(plan.objective, bound))


def relaxed(case: DepotCase) -> DepotCase:
    """Return the case in which each free vehicle has a charger of its own, as good as the best that it may use.

    It has no bad day, which could only make a plan dearer. Where all these chargers are of one kind, a node holds the
    vehicles to their power together.
    """
    pool = _pool(case)
    kinds = kinds_of(case, pool)
    chargers = {charger.id: charger for charger in case.chargers}
    own: list[Charger] = []
    vehicles: list[Vehicle] = []
    for vehicle in case.vehicles:
        if vehicle.charger == ASSIGNED:
            usable = [chargers[name] for name in pool if not vehicle.chargers or name in vehicle.chargers]
            own.append(_best_of(usable, f"~{vehicle.id}", POOL if len(kinds) == 1 else None))
            vehicle = replace(vehicle, charger=own[-1].id, chargers=(), plugged_into=None)  # noqa: PLW2901
        vehicles.append(vehicle)
    site = case.site
    if len(kinds) == 1:
        one, count = chargers[kinds[0][0]], len(kinds[0])
        most = (
            np.full(case.steps, count * one.max_charge_kw),
            np.full(case.steps, count * one.max_discharge_kw),
        )
        site = replace(site, nodes=(*site.nodes, Node(POOL, one.node, *most)))
    return replace(
        case, site=site, chargers=(*case.chargers, *own), vehicles=tuple(vehicles), swaps=None, bad_day=None
    )


def _best_of(usable: Sequence[Charger], name: str, node: str | None) -> Charger:
    if not usable:
        return replace(NO_CHARGER, id=name)
    return Charger(
        name,
        node,
        max(item.max_charge_kw for item in usable),
        max(item.max_discharge_kw for item in usable),
        max(item.charge_efficiency for item in usable),
        max(item.discharge_efficiency for item in usable),
        usable[0].phase if node else None,
        charge_loss_kw=min(item.charge_loss_kw for item in usable),
        discharge_loss_kw=min(item.discharge_loss_kw for item in usable),
    )


def _pool(case: DepotCase) -> list[str]:
    """Return the chargers that are no vehicle's own and that a free vehicle may use."""
    taken = {vehicle.charger for vehicle in case.vehicles}
    free = [vehicle for vehicle in case.vehicles if vehicle.charger == ASSIGNED]
    return [
        item.id
        for item in case.chargers
        if item.id not in taken and any(not one.chargers or item.id in one.chargers for one in free)
    ]


def _yard(case: DepotCase, relaxed_case: DepotCase) -> _Yard:
    problem = problem_of(relaxed_case)
    rows = [row for row, vehicle in enumerate(case.vehicles) if vehicle.charger == ASSIGNED]
    free = tuple(case.vehicles[row] for row in rows)
    kinds = kinds_of(case, _pool(case))
    power = {item.id: item.max_charge_kw for item in case.chargers}
    need = np.maximum(0.0, latest_needs(problem)[rows, 0] - problem.devices.initial_kwh[rows])
    need = need + problem.devices.use_kwh[rows].sum(axis=1)
    return _Yard(case, free, kinds, chosen_kinds(free, kinds, power, need), problem)


def _occupancies(yard: _Yard, bounding: DepotPlan) -> Iterator[dict[str, list[str | None]]]:
    """Yield ways to assign the chargers: by several margins, then with the vehicles' wishes weighed by chance."""
    wishes = _wishes(yard, bounding)
    step_kwh = float(np.max(wishes.full_kwh, initial=0.0))
    margins = (*(share * step_kwh for share in MARGINS), NEVER)
    scarce = yard.case.swaps is not None and yard.case.swaps.max is not None
    for margin in reversed(margins) if scarce else margins:
        yield _occupancy(yard, wishes, margin)
    chance = np.random.default_rng(1)
    for number in range(TRIES):
        weight = chance.choice(WEIGHTS, size=(len(yard.free), 1))
        some = replace(
            wishes,
            charge_kwh=wishes.charge_kwh * weight,
            discharge_kwh=wishes.discharge_kwh * weight,
            shy=chance.random(len(yard.free)) < SHY,
            patience=chance.choice(PATIENCE, size=len(yard.free)),
        )
        yield _occupancy(yard, some, margins[number % len(margins)])


def _wishes(yard: _Yard, bounding: DepotPlan) -> Wishes:
    case, devices = yard.case, yard.relaxed.devices
    rows = [row for row, vehicle in enumerate(case.vehicles) if vehicle.charger == ASSIGNED]
    plans = [bounding.vehicles[vehicle.id] for vehicle in yard.free]
    shape = (len(rows), case.steps)
    charge = np.array([plan.charge_kw for plan in plans]).reshape(shape)
    discharge = np.array([plan.discharge_kw for plan in plans]).reshape(shape)
    soc = np.array([plan.soc for plan in plans]).reshape(len(rows), case.steps + 1)
    conversion = devices.conversion(case.hours).of(rows)
    return Wishes(
        charge_kwh=conversion.stored_kwh(charge),
        discharge_kwh=conversion.leaving_kwh(discharge),
        energy_kwh=soc * devices.capacity_kwh[rows][:, None],
        latest_kwh=latest_needs(yard.relaxed)[rows],
        full_kwh=conversion.stored_kwh(devices.charge_limit_kw[rows]),
        use_kwh=devices.use_kwh[rows],
        shy=np.zeros(len(rows), dtype=bool),
        patience=np.ones(len(rows)),
    )


def _some(wishes: Wishes, rows: list[int]) -> Wishes:
    return Wishes(
        wishes.charge_kwh[rows],
        wishes.discharge_kwh[rows],
        wishes.energy_kwh[rows],
        wishes.latest_kwh[rows],
        wishes.full_kwh[rows],
        wishes.use_kwh[rows],
        wishes.shy[rows],
        wishes.patience[rows],
    )


def _occupancy(yard: _Yard, wishes: Wishes, margin_kwh: float) -> dict[str, list[str | None]]:
    swaps = yard.case.swaps
    moves = len(yard.free) * yard.case.steps if swaps is None or swaps.max is None else swaps.max
    found: dict[str, list[str | None]] = {item.id: [None] * yard.case.steps for item in yard.free}
    for number, kind in enumerate(yard.kinds):
        rows = [row for row, chosen in enumerate(yard.kind_of) if chosen == number]
        vehicles = [yard.free[row] for row in rows]
        some, used = assigned(yard.case, vehicles, kind, _some(wishes, rows), margin_kwh, moves)
        found |= begun_early(yard.case, vehicles, some)
        moves -= used
    return found


def _fixed(yard: _Yard, occupancy: Occupancy) -> DepotCase:
    """Return the ordinary case of an assignment."""
    chargers = {charger.id: charger for charger in yard.case.chargers}
    own: list[Charger] = []
    vehicles: list[Vehicle] = []
    kind_of = {vehicle.id: kind for vehicle, kind in zip(yard.free, yard.kind_of, strict=True)}
    for vehicle in yard.case.vehicles:
        if vehicle.charger == ASSIGNED:
            kind = kind_of[vehicle.id]
            like = NO_CHARGER if kind is None else chargers[yard.kinds[kind][0]]
            own.append(replace(like, id=f"~{vehicle.id}"))
            windows = _unplugged(yard.case, vehicle, occupancy[vehicle.id])
            vehicle = replace(  # noqa: PLW2901
                vehicle,
                charger=own[-1].id,
                chargers=(),
                plugged_into=None,
                unplugged=(*vehicle.unplugged, *windows),
            )
        vehicles.append(vehicle)
    return replace(yard.case, chargers=(*yard.case.chargers, *own), vehicles=tuple(vehicles), swaps=None)


def _unplugged(case: DepotCase, vehicle: Vehicle, row: Sequence[str | None]) -> tuple[Window, ...]:
    here = at_depot(vehicle.away, case.steps)
    off = np.array([bool(here[step]) and row[step] is None for step in range(case.steps)], dtype=int)
    edges = np.flatnonzero(np.diff(np.r_[0, off, 0]))
    return tuple(Window(int(first), int(last)) for first, last in edges.reshape(-1, 2))


def _with_chargers(yard: _Yard, plan: DepotPlan, occupancy: Occupancy) -> DepotPlan:
    """Return the plan of an assignment in the words of the case itself."""
    vehicles = dict(plan.vehicles)
    for name, row in occupancy.items():
        own = vehicles[name]
        vehicles[name] = VehiclePlan(ASSIGNED, own.charge_kw, own.discharge_kw, own.soc, tuple(row))
    here = {item.id: at_depot(item.away, yard.case.steps) for item in yard.free}
    before = {item.id: item.plugged_into for item in yard.free}
    length = yard.case.swaps.steps if yard.case.swaps is not None else 0
    return replace(
        plan,
        vehicles=vehicles,
        swaps=swaps_of(occupancy, here, before, length),
        shortfalls=tuple(_named(yard, item) for item in plan.shortfalls),
    )


def _named(yard: _Yard, item: Shortfall) -> Shortfall:
    """Return a missed target, named by the lack of a free charger where a charger of its own would have met it."""
    if item.vehicle not in {vehicle.id for vehicle in yard.free} or item.cause == PRICE:
        return item
    problem = yard.relaxed
    row = problem.devices.ids.index(item.vehicle)
    wanted = item.required_soc * problem.devices.capacity_kwh[row]
    reachable = problem.envelope.fullest_kwh[row, item.boundary] >= wanted - SAME_KWH
    return replace(item, cause=NO_FREE_CHARGER) if reachable else item


def rank_of(case: DepotCase, plan: DepotPlan) -> tuple[float, ...]:
    """Return what makes a plan worse, most important first.

    Limits, targets, targets on the bad day, minimum, backup, orders, money.
    """
    exceeded = [sum(item.worst for item in plan.exceeded_limits if item.kind == kind) for kind in KINDS]
    must = sum(item.missing_kwh for item in plan.shortfalls if item.tier == "must")
    unsafe = 0.0 if plan.bad_day is None else sum(item.missing_kwh for item in plan.bad_day.shortfalls)
    levels = (exceeded[0] + exceeded[1], must, unsafe, *exceeded[2:])
    return (*(round(level / SAME_KWH) for level in levels), _total(case, plan))


def _goals(rank: tuple[float, ...]) -> tuple[float, ...]:
    """Return the goals above money of a rank, but for the bad day, which the bounding case does not have."""
    return (*rank[:2], *rank[3:-1])


KINDS = ("import_limit", "export_limit", "min_soc", "backup", "charge_now")


def _total(case: DepotCase, plan: DepotPlan) -> float:
    """Return the cost with the price of what is missed at "should" targets and of what changes the last plan."""
    changes = case.previous.price_per_kw * plan.changed_kw if case.previous is not None else 0.0
    prices = {
        (vehicle.id, target.boundary, target.soc): target.price_per_kwh
        for vehicle in case.vehicles
        for target in vehicle.targets
        if target.tier == "should"
    }
    return (
        plan.objective
        + changes
        + sum(
            prices.get((item.vehicle, item.boundary, item.required_soc), 0.0) * item.missing_kwh
            for item in plan.shortfalls
        )
    )


def _bounded(yard: _Yard, plan: DepotPlan, bounding: DepotPlan, gap: float) -> DepotPlan:
    """Return the plan with its bound: that of the case with a charger for each, where that reaches the same goals."""
    crude = cheapest_thinkable(yard.relaxed)
    bound = crude
    negative = bool((yard.case.prices.import_per_kwh < 0.0).any())
    if _goals(rank_of(yard.case, plan)) == _goals(rank_of(yard.case, bounding)) and not (
        negative and len(yard.kinds) > 1
    ):
        missed = _total(yard.case, plan) - plan.objective
        others = _total(yard.case, bounding) - bounding.objective
        bound = max(crude, bounding.bound + others - missed)
    bound = min(bound, plan.objective)
    share = _gap(plan.objective, bound)
    status: Status = "optimal" if share <= gap or plan.objective - bound <= gap else "feasible"
    return replace(plan, bound=bound, gap=share, status=plan.status if plan.status == "fallback" else status)


def _gap(cost: float, bound: float) -> float:
    return (cost - bound) / max(abs(cost), 1e-9) if cost > bound else 0.0
