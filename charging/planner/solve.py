"""The planner's front: a depot case in, the best verified plan by the time limit out."""

import time
from dataclasses import dataclass, replace

import numpy as np

from charging.planner.bad_day import (
    SAME_KWH,
    Way,
    bad_day_plan,
    bad_problem,
    least_missing_kwh,
    made_ready,
    way_by_rules,
    way_through,
)
from charging.planner.case import DepotCase, FloatArray
from charging.planner.classes import Classes, classes_of
from charging.planner.devices import Problem, problem_of
from charging.planner.explain import explanations_of
from charging.planner.fallback import fallback_decision, peaks_held
from charging.planner.free import by_rules, has_free, rank_of, solved
from charging.planner.plan import DepotPlan, Seconds, Status
from charging.planner.rules import cheapest_thinkable, penalty_of
from charging.planner.run import Found, better
from charging.planner.search import marginal_price, search, tidied
from charging.planner.settle import Decision, Proof, flows_of, plan_of
from charging.planner.verify import verify
from charging.planner.warm import LastPlan, continued, start_of
from charging.planner.whatif import what_if

TIME_LIMIT_SECONDS = 20.0
TIDY_SECONDS = 2.0
GAP = 1e-4
# HiGHS looks at the clock only now and then, and the plan found has yet to be verified.
SEARCH_SHARE = 0.9
# The plan by rule is made so often, to hold demand peaks as low as departures allow; once for many vehicles and steps.
PEAK_ROUNDS = 6
MANY_STEPS = 40_000
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
    and which of several equally good plans it finds; and to go on with it is a plan if the search has none in time.
    Raises highs.SolverError where the solver itself fails; `fallback` then has a plan.
    """
    if has_free(case):
        assigned = solved(
            case, time_limit_seconds, gap, lambda one, limit: solve(one, limit, tidy, gap, last)
        )
        return fallback(case) if verify(case, assigned) else assigned
    started = time.perf_counter()
    limits = _Limits(started + time_limit_seconds, started + SEARCH_SHARE * time_limit_seconds, gap, tidy)
    problem = made_ready(problem_of(case))
    if last is not None:
        problem = replace(problem, start=start_of(problem, last))
    built = time.perf_counter()
    best = _best(problem, limits)
    plan = None
    if best is not None:
        best, way = _safe(problem, best, limits)
        plan = _with_way(_plan_found(problem, best.found, best.prices, gap), way)
        if verify(case, plan):
            plan = None
    found = None if plan is None or best is None else best.found
    if plan is None:
        plan = _without_search(problem, last)
    ended = time.perf_counter()
    plan = replace(plan, seconds=Seconds(built - started, ended - built, ended - started))
    plan = replace(plan, what_if=what_if(problem, plan, found))
    return replace(plan, explanations=explanations_of(case, plan))


@dataclass(frozen=True, slots=True)
class _Limits:
    """When to answer and to stop searching (seconds of `time.perf_counter`), at which gap, and whether to tidy."""

    deadline: float
    search_until: float
    gap: float
    tidy: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Best:
    """The best powers found, vehicle by vehicle, and the marginal prices that go with them."""

    found: Found
    prices: FloatArray | None


def _best(problem: Problem, limits: _Limits) -> _Best | None:
    """Search, price, tidy; None when nothing was found in time."""
    found, classes = _search(problem, limits.search_until, limits.gap)
    if found is None:
        return None
    prices, found = marginal_price(found, limits.deadline)
    if limits.tidy:
        found = tidied(found, min(limits.deadline, time.perf_counter() + TIDY_SECONDS))
    if classes is not None:
        found = replace(found, decision=classes.split(found.decision))
    return _Best(found, prices)


def _safe(problem: Problem, best: _Best, limits: _Limits) -> tuple[_Best, Way | None]:
    """Return powers that leave the best way through the bad day, and that way; None without a bad day.

    Where the powers do it already, they are the answer: what they leave out could only make them dearer.
    """
    if problem.case.bad_day is None:
        return best, None
    problem = replace(problem, bad=bad_problem(problem))
    way = way_through(problem, best.found.decision, limits.deadline)
    if way.missing_kwh <= least_missing_kwh(problem, way, limits.deadline) + SAME_KWH:
        return best, way
    again = _best(problem, limits)
    if again is None:
        return best, way
    return again, way_through(problem, again.found.decision, limits.deadline)


def _with_way(plan: DepotPlan, way: Way | None) -> DepotPlan:
    return plan if way is None else replace(plan, bad_day=bad_day_plan(way))


def _search(problem: Problem, deadline: float, gap: float) -> tuple[Found | None, Classes | None]:
    """Search the classes of like vehicles first; vehicle by vehicle only if that is not near enough to the optimum."""
    classes = classes_of(problem.case)
    found = None
    if classes is not None:
        together = replace(made_ready(problem_of(classes.case)), start=classes.start(problem.start))
        if problem.bad is not None:
            together = replace(together, bad=bad_problem(together))
        found = search(together, deadline, gap, linear=True)
        if found is not None and (found.within(gap) or len(problem.devices.ids) > MOST_DEVICES):
            return found, classes
    single = search(problem, deadline, gap)
    if single is not None and (single.within(gap) or better(found, single) is single):
        return single, None
    return found, classes


def fallback(case: DepotCase) -> DepotPlan:
    """Return the rule-based plan of a case: no solver, no discharge, always an answer."""
    if has_free(case):
        return by_rules(case, fallback)
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


def _without_search(problem: Problem, last: LastPlan | None) -> DepotPlan:
    """Return the better of the rule-based plan and of going on with the last one, where that is sound."""
    by_rules = _fallback_plan(problem)
    if last is None:
        return by_rules
    on = _rated(problem, continued(problem, last), "feasible")
    unsound = verify(problem.case, on) or rank_of(problem.case, by_rules) < rank_of(problem.case, on)
    return by_rules if unsound else on


def _fallback_plan(problem: Problem) -> DepotPlan:
    """Return the plan by rule, with demand peaks as low as departures, and all else above money, allow."""
    at_once = _rated(problem, fallback_decision(problem), "fallback")
    best, best_rank = at_once, rank_of(problem.case, at_once)
    if not any(charge.price_per_kw > 0.0 or charge.tiers for charge in problem.case.demand_charges):
        return best
    least, most, share = 0.0, 1.0, 0.0
    for _ in range(PEAK_ROUNDS if problem.devices.use_kwh.size <= MANY_STEPS else 1):
        held = fallback_decision(problem, held_kw=peaks_held(problem, at_once.demand_peaks, share))
        plan = _rated(problem, held, "fallback")
        rank = rank_of(problem.case, plan)
        if rank < best_rank:
            best, best_rank = plan, rank
        if rank[:-1] <= best_rank[:-1]:
            most = share
        else:
            least = share
        share = (least + most) / 2
    return best


def _rated(problem: Problem, decision: Decision, status: Status) -> DepotPlan:
    """Return the plan of powers that no search found, with a crude bound."""
    prices = _plain_prices(problem, decision)
    proof = Proof(status, cheapest_thinkable(problem), prices, Seconds(0.0, 0.0, 0.0))
    plan = plan_of(problem, decision, proof)
    if problem.case.bad_day is None:
        return plan
    return _with_way(plan, way_by_rules(problem, decision, bad_problem(problem)))


def _plain_prices(problem: Problem, decision: Decision) -> FloatArray:
    """Return the energy price that applies at the grid connection, where no duals are at hand."""
    prices = problem.case.prices
    imports = flows_of(problem.case, decision).import_kw > 0.0
    return np.where(imports, prices.import_per_kwh, prices.export_per_kwh)
