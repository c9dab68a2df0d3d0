"""Put the parts together and solve level by level."""

from dataclasses import dataclass
from typing import Any

import pulp

from charging.planner.case import DepotCase
from charging.planner.reference.bad_day import add_bad_day
from charging.planner.reference.model import Model
from charging.planner.reference.services import add_event, add_reserve
from charging.planner.reference.site import (
    add_changes,
    add_demand,
    add_flexible_load,
    add_shared_limits,
    add_site,
)
from charging.planner.reference.stores import add_battery, add_vehicle

GOAL_SLACK_KWH = 2e-5


class ReferenceError(RuntimeError):
    """The reference model was not solved to proven optimality."""


@dataclass(frozen=True, slots=True)
class ReferenceAnswer:
    """The optimum of the full model: the levels above money in kWh, the cost, and the price of misses and changes."""

    site_excess_kwh: float
    must_missing_kwh: float
    bad_day_missing_kwh: float
    unprepared_kwh: float
    below_minimum_kwh: float
    backup_missing_kwh: float
    unheeded_kwh: float
    cost: float
    penalty: float


def solve_reference(case: DepotCase, time_limit_seconds: float = 60.0) -> ReferenceAnswer:
    """Return the proven optimum of a case; raises ReferenceError when it cannot be proven in time."""
    model = _build(case, switches=True)
    excess, missing, bad_day, unprepared, deficit, backup, unheeded = (
        _minimise(model, pulp.lpSum(terms), time_limit_seconds, hold=True)
        for terms in (
            model.excess,
            model.must_missing,
            model.bad_day_missing,
            model.unprepared,
            model.deficits,
            model.backup_missing,
            model.unheeded,
        )
    )
    cost, penalty = pulp.lpSum(model.cost), pulp.lpSum(model.penalty)
    _minimise(model, cost + penalty, time_limit_seconds, hold=False)
    return ReferenceAnswer(
        excess,
        missing,
        bad_day,
        unprepared,
        deficit,
        backup,
        unheeded,
        float(pulp.value(cost) or 0.0),
        float(pulp.value(penalty) or 0.0),
    )


def solve_plain(case: DepotCase, time_limit_seconds: float = 60.0) -> float:
    """Return the least cost plus penalty of the plain linear model, a lower bound of the full one.

    Its switches may be fractions, and it takes limits, minimum SoC, "must" targets and backup as hard: one solve, as
    one would write it down first. Raises ReferenceError where that is impossible or takes longer than the limit.
    """
    model = _build(case, switches=False)
    levels = [
        *model.excess,
        *model.must_missing,
        *model.bad_day_missing,
        *model.unprepared,
        *model.deficits,
        *model.backup_missing,
        *model.unheeded,
    ]
    model.add(pulp.lpSum(levels) <= 0.0)
    return _minimise(model, pulp.lpSum([*model.cost, *model.penalty]), time_limit_seconds, hold=False)


def _build(case: DepotCase, switches: bool) -> Model:
    """Return the model with everything in it."""
    model = Model(case, switches)
    model.net = [pulp.LpAffineExpression(constant=float(load)) for load in case.site.building_load_kw]
    for node in case.site.nodes:
        model.node_net[node.id] = _nothing(case)
        for phase in (1, 2, 3):
            model.phase_net[node.id, phase] = _nothing(case)
    for number, vehicle in enumerate(case.vehicles):
        add_vehicle(model, number, vehicle)
    for number, battery in enumerate(case.storage):
        add_battery(model, number, battery)
    for number, load in enumerate(case.flexible_loads):
        add_flexible_load(model, number, load)
    add_shared_limits(model)
    add_site(model)
    for number, charge in enumerate(case.demand_charges):
        add_demand(model, number, charge)
    for number, event in enumerate(case.events):
        add_event(model, number, event)
    _add_rolling(model)
    return model


def _add_rolling(model: Model) -> None:
    """Add reserve, the last plan and the bad day, as far as the case has them."""
    case = model.case
    if case.reserve is not None:
        add_reserve(model, case.reserve)
    if case.previous is not None:
        add_changes(model, case.previous)
    if case.bad_day is not None:
        add_bad_day(model, case.bad_day)


def _nothing(case: DepotCase) -> list[Any]:
    return [pulp.LpAffineExpression() for _ in range(case.steps)]


def _minimise(model: Model, goal: Any, time_limit_seconds: float, hold: bool) -> float:
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
