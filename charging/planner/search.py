"""Find the best powers of a case: solve, look where the answer breaks a rule, mend it, tighten, solve again.

The linear programme leaves out what is seldom needed: SoC limits between checkpoints, and the rules that need a
switch (one way at a time, no discharge below the floor, no charge above the maximum). Every programme on the way is
a relaxation of the full model, so its optimum is a bound, and an answer that keeps all rules is the optimum itself.
Switches are first taken as fractions, which keeps the programme linear; only if the mended answer is not near enough
to that bound, they are searched.
"""

import time
from dataclasses import replace

import numpy as np

from charging.planner.branching import branched
from charging.planner.case import FloatArray
from charging.planner.devices import Problem, energy_per_kw
from charging.planner.gates import Gates
from charging.planner.highs import Outcome
from charging.planner.mending import mended
from charging.planner.rules import gains_both_ways
from charging.planner.run import SAME_AMOUNT, SAME_SHARE, Found, Known, Run, better, found_in
from charging.planner.settle import energy_path

# Each stretch is mended by what its switch says; these are the shares from which on it counts as yes.
MENDING_SHARES = (0.5, 0.05)
ROUNDS = 30
TURNS = 3
# The order of the wear bands, and which steps export where that pays more than import costs, are worth little money
# and many switches; so are losses of chargers. More bands or losses than this, and steps that branching has not
# decided, are left at so many times the gap.
MANY_ORDERS = 300
ORDER_SHARE = 10.0
FEW_BROKEN = 8
# Switches of losses are many and worth little; mending comes near without them.
LOSS_SECONDS = 2.0
Bounds = list[tuple[tuple[float, ...], float]]
"""Proven bounds of the money, each with the goals above it that its programme reached."""


def search(problem: Problem, deadline: float, gap: float, *, linear: bool = False) -> Found | None:
    """Return the best allowed powers found by the deadline; None when there are none yet.

    The search stops as soon as the best plan is proven to be within `gap` (a share of its cost) of the optimum.
    `linear` decides no switch of a device: with classes of vehicles the bound then holds for each vehicle too.
    """
    # Where one step may not flow both ways, the gain moves to the next: all have their switch from the start.
    gates = replace(Gates.none(problem.devices.use_kwh.shape), direction=gains_both_ways(problem))
    known, relaxed = Known.nothing(problem), False
    best: Found | None = None
    bounds: Bounds = []
    loose, started = True, time.perf_counter()
    for _ in range(ROUNDS):
        until = deadline if loose else _until(gates, deadline, started)
        run = Run(problem, gates, known, until, relaxed=relaxed, loose=loose, gap=gap)
        if best is not None and not loose:
            run.suggest(best.decision)
        answer, goals = run.solve()
        run.have_until(deadline)
        if answer.outcome is Outcome.INFEASIBLE and not relaxed:
            relaxed, best, bounds = True, None, []
            continue
        if answer.values is None:
            break
        found = found_in(run, answer, answer.values, goals)
        broken = found.broken
        bounds.append((goals, answer.bound))
        if not broken.of_devices():
            best = better(best, found)
        if broken.any():
            best = _mended(found, best, bounds, gap)
        best = best and _bounded(cheaper_order(best), bounds)
        if linear or (best is not None and (best.within(gap) or _near_enough(best, run, gap))):
            break
        known = run.known
        if broken.any() and loose and not relaxed:
            best, broken = _branched(found, best, gap, bounds)
        # Where no rule is broken, only switches of events and reserve, taken as fractions, can promise too much.
        searched = not (broken.any() or broken.bands.any() or (loose and run.form.programme.whole.any()))
        near = best is not None and (best.within(gap) or _left_open(best, gates, broken, gap))
        if searched or near or (until < deadline and time.perf_counter() > until):
            break
        tighter = gates.tightened(broken, problem.devices.plugged)
        # As fractions, switches of losses would say nothing new.
        loose = loose and tighter.count() - tighter.loss.sum() > gates.count() - gates.loss.sum()
        gates = tighter
    return best


def _until(gates: Gates, deadline: float, started: float) -> float:
    """Return when a search of switches ends; those of losses get as long again as all that was done since the start."""
    now = time.perf_counter()
    return min(deadline, now + max(LOSS_SECONDS, now - started)) if gates.loss.any() else deadline


def _near_enough(best: Found, run: Run, gap: float) -> bool:
    """Tell whether nothing but the order of many wear bands, or many losses, keep a plan from its bound, and little."""
    losses = sum(int((lost_at >= 0).sum()) for _, lost_at in run.form.powers.pairs())
    many = max(run.form.bands.switch.size, losses) > MANY_ORDERS
    return many and not best.broken.any() and best.within(ORDER_SHARE * gap)


def _left_open(best: Found, gates: Gates, broken: Gates, gap: float) -> bool:
    """Tell whether a plan that branching left from its bound is near enough where steps may gain by both directions.

    A few rules that still break are decided in another round, which costs little.
    """
    few = 0 < broken.count() <= FEW_BROKEN
    return bool(gates.direction.any()) and not few and best.within(ORDER_SHARE * gap)


def cheaper_order(best: Found) -> Found:
    """Return a plan, or a cheaper one near it, solved again with the bands of wear in the order of its path."""
    for _ in range(TURNS):
        if best.run.relaxed or not (
            best.run.loose and best.broken.bands.any() and best.run.form.bands.switch.size
        ):
            break
        run = best.run.again()
        run.hold_order(energy_path(run.problem, best.decision))
        answer, goals = run.solve()
        if answer.values is None:
            break
        found = replace(found_in(run, answer, answer.values, goals), bound=-np.inf)
        if found.broken.any() or found.total >= best.total - SAME_AMOUNT or better(best, found) is best:
            break
        best = found
    return best


def _branched(found: Found, best: Found | None, gap: float, bounds: Bounds) -> tuple[Found | None, Gates]:
    """Return the best plan after branching and what still breaks a rule; the tree's bound joins the others."""
    tree = branched(found, best, gap)
    bounds.append((found.goals_kwh, tree.bound))
    return tree.best and _bounded(tree.best, bounds), found.broken.together(tree.broken)


def _mended(found: Found, best: Found | None, bounds: Bounds, gap: float) -> Found | None:
    """Return the best of a plan and the mendings of an answer; one that is near enough to the bound is the last."""
    for share in MENDING_SHARES:
        best = better(best, mended(found, share))
        if best is not None and _bounded(best, bounds).within(gap):
            break
        if not found.broken.of_devices():
            # The shares are those of stays; the direction is decided as the answer leans, once.
            break
    return best


def _bounded(best: Found, bounds: Bounds) -> Found:
    """Return a plan with the best bound among relaxations whose goals it reaches; -inf when there is none.

    A bound of inf comes from branches that all turned out impossible; it says nothing about a plan of other goals.
    """
    proven = [bound for goals, bound in bounds if bound < np.inf and best.reaches(goals)]
    return replace(best, bound=max(proven, default=-np.inf))


def marginal_price(found: Found, deadline: float) -> tuple[FloatArray | None, Found]:
    """Return the value of one more kWh per step, and the found plan with the duals that it comes from.

    With switches the programme is solved once more with every switch held where the answer has it. None when the
    deadline leaves no time for it.
    """
    run, answer = found.run, found.answer
    if answer.duals is None and answer.values is not None:
        run.solver.set_deadline(deadline)
        run.solver.fix_switches(answer.values)
        answer = run.solve_within_limits()
    if answer.duals is None:
        return None, found
    prices = answer.duals.rows[run.form.balance_rows] / run.problem.case.hours
    return prices, replace(found, answer=answer)


def tidied(found: Found, deadline: float) -> Found:
    """Return a plan of the same goals and cost that charges early, the vehicle that leaves first first.

    The programme is shrunk to its optimal face and the energy held in the vehicles is made as large as can be; the
    plan stays as it was where the deadline is too near.
    """
    run, answer = found.run, found.answer
    if answer.values is None or answer.duals is None:
        return found
    run.solver.set_deadline(deadline)
    # The last plan was tidy already: near it is enough.
    run.solver.hold_optimum(answer.values, answer.duals, all_columns=run.problem.start is None)
    run.solver.set_cost(_late_energy(run))
    tidy = run.solve_within_limits()
    if tidy.values is None:
        return found
    other = found_in(run, tidy, tidy.values, found.goals_kwh)
    keeps = other.total <= found.total + SAME_AMOUNT + SAME_SHARE * abs(found.total)
    if not keeps or other.broken.of_devices():
        return found
    return replace(found, decision=other.decision, total=other.total)


def _late_energy(run: Run) -> FloatArray:
    """Return a cost per kW that falls with every step for which the energy is already in the vehicle."""
    problem, form = run.problem, run.form
    devices, steps = problem.devices, problem.case.steps
    leaves = np.where(devices.plugged.all(axis=1), steps, np.argmin(devices.plugged, axis=1))
    urgency = 1.0 + np.argsort(np.argsort(-leaves, kind="stable")) / max(1, len(leaves))
    remaining = np.arange(steps, 0, -1.0)[None, :] * urgency[:, None]
    cost = np.zeros_like(form.programme.cost)
    for places, charging in ((form.charge_at, True), (form.discharge_at, False)):
        used = places >= 0
        per_kw = energy_per_kw(devices, problem.case.hours, charging)
        cost[places[used]] = -(remaining * per_kw)[used]
    return cost
