"""The planner's front: a depot case in, the best verified plan by the time limit out."""

import time
from dataclasses import replace

import numpy as np

from charging.planner.case import DepotCase, FloatArray
from charging.planner.classes import Classes, classes_of
from charging.planner.devices import Problem, problem_of
from charging.planner.explain import explanations_of
from charging.planner.fallback import fallback_decision
from charging.planner.plan import DepotPlan, Seconds
from charging.planner.rules import cheapest_thinkable, penalty_of
from charging.planner.run import Found, better
from charging.planner.search import marginal_price, search, tidied
from charging.planner.settle import Decision, Proof, flows_of, plan_of
from charging.planner.verify import verify
from charging.planner.warm import LastPlan, start_of
from charging.planner.whatif import what_if

TIME_LIMIT_SECONDS = 20.0
TIDY_SECONDS = 2.0
GAP = 1e-4
# HiGHS looks at the clock only now and then, and the plan found has yet to be verified.
SEARCH_SHARE = 0.9
# Beyond this, a plan of the classes that is not near enough is not tried again vehicle by vehicle.
MOST_DEVICES = 2000


def solve(
    case: DepotCase,
    time_limit_seconds: float = TIME_LIMIT_SECONDS,
    tidy: bool = True,
    gap: float = GAP,
    last: LastPlan | None = None,
) -> DepotPlan:
    """Return the best plan for a case; there always is one, and every plan returned has been verified.

    `tidy` spends up to two more seconds of the limit on a plan of the same cost that charges early. The search stops
    when the cost is proven to be within `gap` (a share of it) of the optimum, and the status is then "optimal". It
    is "feasible" when the time limit came first, and "fallback" when nothing better than the rule-based plan could
    be verified by then. `last` is the plan before this one: the search begins near it, which changes how long it takes
    and which of several equally good plans it finds.
    """
    started = time.perf_counter()
    deadline = started + time_limit_seconds
    problem = problem_of(case)
    if last is not None:
        problem = replace(problem, start=start_of(problem, last))
    built = time.perf_counter()
    found, classes = _search(problem, started + SEARCH_SHARE * time_limit_seconds, gap)
    plan = None
    if found is not None:
        prices, found = marginal_price(found, deadline)
        if tidy:
            found = tidied(found, min(deadline, time.perf_counter() + TIDY_SECONDS))
        if classes is not None:
            found = replace(found, decision=classes.split(found.decision))
        plan = _plan_found(problem, found, prices, gap)
        if verify(case, plan):
            plan = None
    if plan is None:
        plan, found = _fallback_plan(problem), None
    ended = time.perf_counter()
    plan = replace(plan, seconds=Seconds(built - started, ended - built, ended - started))
    plan = replace(plan, what_if=what_if(problem, plan, found))
    return replace(plan, explanations=explanations_of(case, plan))


def _search(problem: Problem, deadline: float, gap: float) -> tuple[Found | None, Classes | None]:
    """Search the classes of like vehicles first; vehicle by vehicle only if that is not near enough to the optimum."""
    classes = classes_of(problem.case)
    found = None
    if classes is not None:
        together = replace(problem_of(classes.case), start=classes.start(problem.start))
        found = search(together, deadline, gap, linear=True)
        if found is not None and (found.within(gap) or len(problem.devices.ids) > MOST_DEVICES):
            return found, classes
    single = search(problem, deadline, gap)
    if single is not None and (single.within(gap) or better(found, single) is single):
        return single, None
    return found, classes


def fallback(case: DepotCase) -> DepotPlan:
    """Return the rule-based plan of a case: no solver, no discharge, always an answer."""
    started = time.perf_counter()
    problem = problem_of(case)
    plan = _fallback_plan(problem)
    seconds = time.perf_counter() - started
    plan = replace(plan, seconds=Seconds(seconds, 0.0, seconds), what_if=what_if(problem, plan, None))
    return replace(plan, explanations=explanations_of(case, plan))


def _plan_found(problem: Problem, found: Found, prices: FloatArray | None, gap: float) -> DepotPlan:
    decision = found.decision
    bound = max(found.bound - penalty_of(problem, decision), cheapest_thinkable(problem))
    proof = Proof(
        status="optimal" if found.within(gap) else "feasible",
        bound=bound,
        marginal_price_per_kwh=_plain_prices(problem, decision) if prices is None else prices,
        seconds=Seconds(0.0, 0.0, 0.0),
    )
    return plan_of(problem, decision, proof)


def _fallback_plan(problem: Problem) -> DepotPlan:
    decision = fallback_decision(problem)
    prices = _plain_prices(problem, decision)
    proof = Proof("fallback", cheapest_thinkable(problem), prices, Seconds(0.0, 0.0, 0.0))
    return plan_of(problem, decision, proof)


def _plain_prices(problem: Problem, decision: Decision) -> FloatArray:
    """Return the energy price that applies at the grid connection, where no duals are at hand."""
    prices = problem.case.prices
    imports = flows_of(problem.case, decision).import_kw > 0.0
    return np.where(imports, prices.import_per_kwh, prices.export_per_kwh)
