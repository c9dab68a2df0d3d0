"""What would change: the cost of an order, of one more kW of import limit, and what a missed target would take."""

from dataclasses import dataclass

import numpy as np

from charging.planner.case import DepotCase
from charging.planner.devices import Problem
from charging.planner.plan import DepotPlan, ExceededLimit, Remedy, Shortfall, WhatIf
from charging.planner.run import Found

SAME_KWH = 1e-2
AT_LIMIT_KW = 1e-4


@dataclass(frozen=True, slots=True)
class Change:
    """What an order changes: money (with the price of missed "should" targets), and what is missed that was not.

    `cost` is the sum of both amounts of money, in the case's currency: above zero the order costs, below it saves.
    """

    cost: float
    objective: float
    missed_worth: float
    shortfalls: tuple[Shortfall, ...]
    exceeded_limits: tuple[ExceededLimit, ...]


def change_between(case: DepotCase, before: DepotPlan, after: DepotPlan) -> Change:
    """Return what the second plan changes of the first; both answer the same case but for a person's orders.

    A "must" target counts as newly missed where more than SAME_KWH is missing that was there before.
    """
    missing = {(item.vehicle, item.boundary): item.missing_kwh for item in before.shortfalls}
    new = tuple(
        item
        for item in after.shortfalls
        if item.tier == "must"
        and item.missing_kwh > missing.get((item.vehicle, item.boundary), 0.0) + SAME_KWH
    )
    known = {(item.kind, item.place, item.from_step, item.to_step) for item in before.exceeded_limits}
    exceeded = tuple(
        item
        for item in after.exceeded_limits
        if (item.kind, item.place, item.from_step, item.to_step) not in known
    )
    objective = after.objective - before.objective
    worth = _missed_worth(case, after) - _missed_worth(case, before)
    return Change(objective + worth, objective, worth, new, exceeded)


def _missed_worth(case: DepotCase, plan: DepotPlan) -> float:
    prices = _should_prices(case)
    return sum(prices.get((item.vehicle, item.boundary), 0.0) * item.missing_kwh for item in plan.shortfalls)


def _should_prices(case: DepotCase) -> dict[tuple[str, int], float]:
    return {
        (vehicle.id, target.boundary): target.price_per_kwh
        for vehicle in case.vehicles
        for target in vehicle.targets
        if target.tier == "should"
    }


def what_if(problem: Problem, plan: DepotPlan, found: Found | None) -> WhatIf:
    """Return what one more kW of import limit is worth, and what each missed target would take."""
    remedies = tuple(_remedy(problem, item) for item in plan.shortfalls if item.asset == "vehicle")
    return WhatIf(None if found is None else _import_limit_value(found), remedies)


def _import_limit_value(found: Found) -> float | None:
    """Return what the cost falls by per kW that the import limit rises in every step; None where it is not known.

    It is the sum of the reduced costs of the import at its limit, so it holds for the next small part of a kW and
    falls from there. Where limits must give way to guarantees, another kW is worth energy before it is worth money.
    """
    run, answer = found.run, found.answer
    if answer.duals is None or answer.values is None or run.relaxed:
        return None
    columns = run.form.import_columns[0]
    limit = run.problem.case.site.import_limit_kw
    at_limit = answer.values[columns] >= limit - AT_LIMIT_KW
    return float(np.maximum(0.0, -answer.duals.columns[columns])[at_limit].sum())


def _remedy(problem: Problem, item: Shortfall) -> Remedy:
    """Return how much more power, all the time at the depot until the target, a missed target would take."""
    case, devices = problem.case, problem.devices
    row = devices.ids.index(item.vehicle)
    hours = case.hours * float(devices.plugged[row, : item.boundary].sum())
    gain = hours * float(devices.charge_efficiency[row])
    worth = _should_prices(case).get((item.vehicle, item.boundary))
    return Remedy(
        vehicle=item.vehicle,
        boundary=item.boundary,
        missing_kwh=item.missing_kwh,
        more_kw=item.missing_kwh / gain if gain > 0.0 else None,
        worth=None if item.tier == "must" or worth is None else worth * item.missing_kwh,
    )
