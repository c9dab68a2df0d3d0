"""The full model written out in PuLP, one rule after the other: slow, readable, and what tests compare with.

Nothing is left out or added later, and every rule that needs a switch has one in every step. It shares no code with
the arrays of `formulation`; docs/algorithms/planning.md has the same model in mathematics.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import pulp

from charging.planner.case import Charger, DemandCharge, DepotCase, Storage, Target, Vehicle

GOAL_SLACK_KWH = 2e-5


class ReferenceError(RuntimeError):
    """The reference model was not solved to proven optimality."""


@dataclass(frozen=True, slots=True)
class ReferenceAnswer:
    """The optimum of the full model: the levels above money in kWh, the cost, and the price of missed targets.

    `unheeded_kwh` is what orders to charge now miss, in kWh times hours.
    """

    site_excess_kwh: float
    must_missing_kwh: float
    below_minimum_kwh: float
    unheeded_kwh: float
    cost: float
    penalty: float


@dataclass(slots=True)
class _Model:
    """The PuLP problem with its expressions while it grows."""

    case: DepotCase
    switches: bool = True
    problem: pulp.LpProblem = field(default_factory=lambda: pulp.LpProblem("depot", pulp.LpMinimize))
    net: list[Any] = field(default_factory=list)
    node_net: dict[str, list[Any]] = field(default_factory=dict)
    charger_use: dict[str, list[tuple[Any, Any]]] = field(default_factory=dict)
    must_missing: list[Any] = field(default_factory=list)
    deficits: list[Any] = field(default_factory=list)
    unheeded: list[Any] = field(default_factory=list)
    penalty: list[Any] = field(default_factory=list)
    wear: list[Any] = field(default_factory=list)

    def add(self, condition: Any) -> None:
        """Add a constraint."""
        self.problem += condition


def _variable(name: str, high: float | None = None, low: float | None = 0.0) -> Any:
    return pulp.LpVariable(name, low, high)


def _switch(name: str) -> Any:
    return pulp.LpVariable(name, cat="Binary")


def solve_reference(case: DepotCase, time_limit_seconds: float = 60.0) -> ReferenceAnswer:
    """Return the proven optimum of a case; raises ReferenceError when it cannot be proven in time."""
    model = _Model(case)
    excess, cost, penalty = _build(model)
    levels = [
        _minimise(model, pulp.lpSum(terms), time_limit_seconds, hold=True)
        for terms in (excess, model.must_missing, model.deficits, model.unheeded)
    ]
    _minimise(model, cost + penalty, time_limit_seconds, hold=False)
    excess_kwh, missing_kwh, deficit_kwh, unheeded_kwh = levels
    return ReferenceAnswer(
        excess_kwh,
        missing_kwh,
        deficit_kwh,
        unheeded_kwh,
        float(pulp.value(cost) or 0.0),
        float(pulp.value(penalty) or 0.0),
    )


def solve_plain(case: DepotCase, time_limit_seconds: float = 60.0) -> float:
    """Return the least cost plus penalty of the plain linear model, a lower bound of the full one.

    It has no switches, and takes limits, minimum SoC and "must" targets as hard: one solve, as one would write it down
    first. Raises ReferenceError where that is impossible or takes longer than the limit.
    """
    model = _Model(case, switches=False)
    excess, cost, penalty = _build(model)
    model.add(pulp.lpSum([*excess, *model.must_missing, *model.deficits, *model.unheeded]) <= 0.0)
    return _minimise(model, cost + penalty, time_limit_seconds, hold=False)


def _build(model: _Model) -> tuple[list[Any], Any, Any]:
    """Add everything; return what is beyond the site's limits, the cost and the penalty."""
    case = model.case
    model.net = [pulp.LpAffineExpression(constant=float(load)) for load in case.site.building_load_kw]
    model.node_net = {
        node.id: [pulp.LpAffineExpression() for _ in range(case.steps)] for node in case.site.nodes
    }
    for number, vehicle in enumerate(case.vehicles):
        _add_vehicle(model, number, vehicle)
    for number, battery in enumerate(case.storage):
        _add_battery(model, number, battery)
    _add_shared_limits(model)
    excess, energy_cost, imports = _add_site(model)
    demand = [_add_demand(model, number, item, imports) for number, item in enumerate(case.demand_charges)]
    return excess, pulp.lpSum([*energy_cost, *demand, *model.wear]), pulp.lpSum(model.penalty)


def _minimise(model: _Model, goal: Any, time_limit_seconds: float, hold: bool) -> float:
    """Minimise one level; `hold` keeps it there for the levels below."""
    if hold and not len(goal):
        return 0.0
    model.problem.setObjective(goal)
    solver = pulp.HiGHS(msg=False, timeLimit=time_limit_seconds, threads=1, gapRel=1e-7)
    model.problem.solve(solver)
    # PuLP's status calls a solve that was cut off "Optimal" too; the solution status does not.
    if model.problem.sol_status != pulp.LpSolutionOptimal:
        raise ReferenceError(f"not proven optimal: {pulp.LpSolution[model.problem.sol_status]}")
    value = float(pulp.value(goal) or 0.0)
    if hold:
        model.add(goal <= value + GOAL_SLACK_KWH)
    return value


def _add_vehicle(model: _Model, number: int, vehicle: Vehicle) -> None:
    charger = next(item for item in model.case.chargers if item.id == vehicle.charger)
    charge, discharge = charger.max_charge_kw, charger.max_discharge_kw if vehicle.v2g else 0.0
    if vehicle.max_charge_kw is not None:
        charge = min(charge, vehicle.max_charge_kw)
    if vehicle.max_discharge_kw is not None:
        discharge = min(discharge, vehicle.max_discharge_kw)
    use = [0.0] * model.case.steps
    away = [False] * model.case.steps
    for trip in vehicle.away:
        for step in range(trip.from_step, trip.to_step):
            use[step] = trip.energy_kwh / (trip.to_step - trip.from_step)
            away[step] = True
    store = _Store(
        name=f"v{number}",
        holder=vehicle,
        node=charger.node,
        power_kw=_ordered_powers(vehicle, [(0.0, 0.0) if gone else (charge, discharge) for gone in away]),
        efficiency=(charger.charge_efficiency, charger.discharge_efficiency),
        floor_soc=max(vehicle.min_soc, vehicle.v2g_min_soc),
        use_kwh=use,
    )
    powers, energy = _add_store(model, store, vehicle.targets)
    _add_orders(model, vehicle, store, away, energy)
    for step, (charging, discharging) in enumerate(powers):
        key = f"{charger.id} {step}"
        model.charger_use.setdefault(key, []).append((charging, discharging))


def _ordered_powers(vehicle: Vehicle, power_kw: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return most charge and discharge of each step as a person's orders leave them."""
    ordered = []
    for step, (charge, discharge) in enumerate(power_kw):
        orders = [item for item in vehicle.overrides if item.from_step <= step < item.to_step]
        both = [0.0 for item in orders if item.kind == "hold"]
        both += [item.max_kw for item in orders if item.max_kw is not None]
        out = [0.0 for item in orders if item.kind == "no_discharge"]
        ordered.append((min([charge, *both]), min([discharge, *both, *out])))
    return ordered


def _add_orders(
    model: _Model, vehicle: Vehicle, store: "_Store", away: list[bool], energy: list[Any]
) -> None:
    """Add what is missing at each boundary to the energy of charging at full power since an order began."""
    hours = model.case.hours
    wanted: dict[int, float] = {}
    for item in vehicle.overrides:
        if item.kind != "charge_now" or item.soc is None:
            continue
        goal = item.soc * vehicle.capacity_kwh
        level = vehicle.initial_soc * vehicle.capacity_kwh - sum(store.use_kwh[: item.from_step])
        for step in range(item.from_step, item.to_step):
            if away[step] and level >= goal:
                break
            full = level + hours * store.efficiency[0] * store.power_kw[step][0]
            level = max(level, min(full, goal)) - store.use_kwh[step]
            wanted[step + 1] = max(wanted.get(step + 1, -math.inf), min(level, goal))
    for boundary, kwh in wanted.items():
        missing = _variable(f"o_{store.name}_{boundary}")
        model.add(energy[boundary] + missing >= kwh)
        model.unheeded.append(hours * missing)


def _add_battery(model: _Model, number: int, battery: Storage) -> None:
    store = _Store(
        name=f"s{number}",
        holder=battery,
        node=battery.node,
        power_kw=[(battery.max_charge_kw, battery.max_discharge_kw)] * model.case.steps,
        efficiency=(battery.charge_efficiency, battery.discharge_efficiency),
        floor_soc=battery.min_soc,
        use_kwh=[0.0] * model.case.steps,
    )
    _add_store(model, store, (Target(model.case.steps, battery.final_soc, "must"),))


@dataclass(frozen=True, slots=True)
class _Store:
    """A vehicle or battery with the limits that apply to it."""

    name: str
    holder: Vehicle | Storage
    node: str | None
    power_kw: list[tuple[float, float]]
    efficiency: tuple[float, float]
    floor_soc: float
    use_kwh: list[float]


def _add_store(
    model: _Model, store: _Store, targets: tuple[Target, ...]
) -> tuple[list[tuple[Any, Any]], list[Any]]:
    """Add powers, switches, the energy balance and the targets of one store; return its powers and energies."""
    case, holder = model.case, store.holder
    capacity, hours = holder.capacity_kwh, case.hours
    low, high, floor = holder.min_soc * capacity, holder.max_soc * capacity, store.floor_soc * capacity
    energy: list[Any] = [holder.initial_soc * capacity]
    reach = capacity + holder.initial_soc * capacity + sum(store.use_kwh)
    powers = []
    for step, (most_charge, most_discharge) in enumerate(store.power_kw):
        label = f"{store.name}_{step}"
        charge, discharge = _variable(f"c_{label}", most_charge), _variable(f"d_{label}", most_discharge)
        after = _variable(f"e_{label}", None, None)
        gained = hours * (charge * store.efficiency[0] - discharge * (1.0 / store.efficiency[1]))
        model.add(after == energy[-1] + gained - store.use_kwh[step])
        if model.switches:
            charging, discharging = _switch(f"cs_{label}"), _switch(f"ds_{label}")
            model.add(charge <= most_charge * charging)
            model.add(discharge <= most_discharge * discharging)
            model.add(charging + discharging <= 1)
            model.add(after <= high + reach * (1 - charging))
            model.add(after >= floor - reach * (1 - discharging))
        else:
            model.add(after <= max(high, holder.initial_soc * capacity))
        deficit = _variable(f"q_{label}")
        model.add(after + deficit >= low)
        model.deficits.append(hours * deficit)
        model.wear.append(hours * holder.wear_cost_per_kwh / store.efficiency[1] * discharge)
        model.net[step] += charge - discharge
        _add_to_nodes(model, store.node, step, charge - discharge)
        energy.append(after)
        powers.append((charge, discharge))
    for number, target in enumerate(targets):
        missing = _variable(f"m_{store.name}_{number}")
        model.add(energy[target.boundary] + missing >= target.soc * capacity)
        if target.tier == "must":
            model.must_missing.append(missing)
        else:
            model.penalty.append(target.price_per_kwh * missing)
    return powers, energy


def _add_to_nodes(model: _Model, node: str | None, step: int, net: Any) -> None:
    parents = {item.id: item.parent for item in model.case.site.nodes}
    while node is not None:
        model.node_net[node][step] += net
        node = parents[node]


def _add_shared_limits(model: _Model) -> None:
    """Add the limits of nodes, and of chargers with all that hang on them."""
    for node in model.case.site.nodes:
        for step, net in enumerate(model.node_net[node.id]):
            if node.import_limit_kw[step] < float("inf"):
                model.add(net <= float(node.import_limit_kw[step]))
            if node.export_limit_kw[step] < float("inf"):
                model.add(net >= -float(node.export_limit_kw[step]))
    for charger in model.case.chargers:
        for step in range(model.case.steps):
            users = model.charger_use.get(f"{charger.id} {step}", [])
            model.add(pulp.lpSum(charge for charge, _ in users) <= charger.max_charge_kw)
            model.add(pulp.lpSum(discharge for _, discharge in users) <= charger.max_discharge_kw)


def _add_site(model: _Model) -> tuple[list[Any], list[Any], list[Any]]:
    """Add the grid connection; return what is beyond its limits in kWh, the energy cost, and the imports."""
    case, site, hours = model.case, model.case.site, model.case.hours
    stations: list[Charger | Storage] = [*case.chargers, *case.storage]
    reach = 10.0 * (
        sum(item.max_charge_kw + item.max_discharge_kw for item in stations)
        + float(abs(site.building_load_kw).max() + site.solar_kw.max() + 1.0)
    )
    excess, cost, imports = [], [], []
    for step in range(case.steps):
        solar = _variable(f"solar_{step}", float(site.solar_kw[step]))
        if not site.solar_curtailable:
            model.add(solar == float(site.solar_kw[step]))
        import_kw, export_kw = _variable(f"import_{step}"), _variable(f"export_{step}")
        model.add(import_kw - export_kw == model.net[step] - solar)
        if model.switches:
            importing = _switch(f"importing_{step}")
            model.add(import_kw <= reach * importing)
            model.add(export_kw <= reach * (1 - importing))
        # Beyond a limit there is only what building and sun alone put there; vehicles and batteries add nothing.
        load, sun = float(site.building_load_kw[step]), float(site.solar_kw[step])
        forced = 0.0 if site.solar_curtailable else sun
        for flow, limit, alone in (
            (import_kw, float(site.import_limit_kw[step]), load - sun),
            (export_kw, float(site.export_limit_kw[step]), forced - load),
        ):
            if limit < float("inf"):
                over = _variable(f"over_{flow.name}", max(0.0, alone - limit))
                model.add(flow <= limit + over)
                excess.append(hours * over)
        cost.append(hours * float(case.prices.import_per_kwh[step]) * import_kw)
        cost.append(-hours * float(case.prices.export_per_kwh[step]) * export_kw)
        imports.append(import_kw)
    return excess, cost, imports


def _add_demand(model: _Model, number: int, charge: DemandCharge, imports: list[Any]) -> Any:
    """Add one peak a billing period above every metering interval's mean; return the cost above what is billed."""
    first_minute = model.case.start.hour * 60 + model.case.start.minute
    intervals: dict[tuple[int, int], list[Any]] = {}
    for step, import_kw in enumerate(imports):
        if charge.window[step]:
            interval = (first_minute + step * model.case.step_minutes) // charge.metering_minutes
            intervals.setdefault((int(charge.period[step]), interval), []).append(import_kw)
    billed = [float(value) for value in charge.billed_kw_so_far]
    peaks = [_variable(f"peak_{number}_{period}", None, value) for period, value in enumerate(billed)]
    for (period, _), powers in intervals.items():
        model.add(peaks[period] >= pulp.lpSum(powers) * (1.0 / len(powers)))
    return charge.price_per_kw * (pulp.lpSum(peaks) - sum(billed))
