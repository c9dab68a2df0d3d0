"""Find the best powers of a case: solve, look where the answer breaks a rule, mend or forbid it, solve again.

The linear programme leaves out what is seldom needed: SoC limits between checkpoints, and the rules that need a
switch (one way at a time, no discharge below the floor, no charge above the maximum). An answer that keeps them
all is the optimum of the full model, because every programme on the way is a relaxation of it.
"""

from dataclasses import dataclass, replace

import numpy as np

from charging.planner.case import BoolArray, FloatArray
from charging.planner.devices import Problem, energy_per_kw
from charging.planner.formulation import formulate, limit_rows
from charging.planner.gates import Gates, spread, stretches_of
from charging.planner.highs import Answer, Outcome, Solver
from charging.planner.rules import (
    both_directions,
    broken_rules,
    decision_from,
    kept_one_way,
    penalty_of,
    stored_kwh,
)
from charging.planner.settle import Decision, energy_path, flows_of, total_cost

ENERGY_KWH = 1e-5
GOAL_KWH = 1e-4
SAME_SHARE = 1e-6
SAME_AMOUNT = 1e-4
ROUNDS = 30
MENDING_ROUNDS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Powers read from an answer, with what is proven about them.

    `goals_kwh` are the levels above money: excess of the site, missing at "must" targets, missing to the minimum.
    `total` is the cost plus the price of missed "should" targets; `bound` is a proven lower bound of `total` among
    plans that reach the same goals (-inf when none is known).
    """

    decision: Decision
    broken: Gates
    total: float
    goals_kwh: tuple[float, ...]
    bound: float
    run: "Run"
    answer: Answer

    def reaches(self, goals_kwh: tuple[float, ...]) -> bool:
        """Tell whether no goal above money is further away than given."""
        pairs = zip(self.goals_kwh, goals_kwh, strict=True)
        return all(own <= other + 2 * (GOAL_KWH + SAME_SHARE * other) for own, other in pairs)

    @property
    def proven(self) -> bool:
        """Tell whether the bound leaves nothing worth looking for."""
        return self.total - self.bound <= SAME_AMOUNT + SAME_SHARE * abs(self.total)


class Run:
    """One formulation inside the solver, with the SoC rows that were found to bind."""

    def __init__(
        self, problem: Problem, gates: Gates, relaxed: bool, points: BoolArray, deadline: float
    ) -> None:
        """Formulate and load; `points` are boundaries whose SoC limits are known to bind."""
        self.problem = problem
        self.relaxed = relaxed
        self.deadline = deadline
        self.points = points.copy()
        self.form = formulate(problem, gates, relaxed)
        self.solver = Solver(self.form.programme, deadline)
        self._add_limits(points)

    def _add_limits(self, points: BoolArray) -> None:
        rows = limit_rows(self.form, self.problem, points)
        if rows[0].size:
            self.solver.add_rows(*rows)

    def solve(self) -> tuple[Answer, tuple[float, ...]]:
        """Solve level by level; return the last answer and the kWh of the levels above money."""
        goals = []
        for goal in self.form.goals:
            self.solver.set_cost(goal)
            answer = self.solve_within_limits()
            if answer.values is None:
                return answer, ()
            goals.append(max(0.0, float(goal @ answer.values)))
            used = np.flatnonzero(goal)
            ceiling = np.array([goals[-1] + GOAL_KWH + SAME_SHARE * goals[-1]])
            self.solver.add_rows(np.array([-np.inf]), ceiling, np.array([0]), used, goal[used])
        self.solver.set_cost(self.form.programme.cost)
        return self.solve_within_limits(), tuple(goals)

    def solve_within_limits(self) -> Answer:
        """Solve, add the SoC rows that the answer crosses, and solve again until it crosses none."""
        while True:
            answer = self.solver.solve()
            if answer.values is None:
                return answer
            crossed = self._crossed(answer.values)
            if not crossed.any():
                return answer
            if answer.outcome is Outcome.CUT_OFF:
                return replace(answer, values=None)
            self.points |= crossed
            self._add_limits(crossed)

    def _crossed(self, values: FloatArray) -> BoolArray:
        """Return the boundaries whose SoC limit is broken and has no row yet."""
        problem = self.problem
        decision = decision_from(self.form, values)
        path = energy_path(problem, decision)
        low, high = problem.envelope.lower_kwh - ENERGY_KWH, problem.envelope.upper_kwh + ENERGY_KWH
        return ((path < low) | (path > high)) & (self.form.energy_at < 0) & ~self.points

    def suggest(self, decision: Decision) -> None:
        """Offer powers as a start for the search with switches."""
        form = self.form
        flows = flows_of(self.problem.case, decision)
        columns, values = [form.solar_columns], [decision.solar_used_kw]
        for places, power in (
            (form.charge_at, decision.charge_kw),
            (form.discharge_at, decision.discharge_kw),
        ):
            columns.append(places[places >= 0])
            values.append(power[places >= 0])
        if not self.relaxed:
            columns += [form.import_columns[0], form.export_columns[0]]
            values += [flows.import_kw, flows.export_kw]
        self.solver.suggest(np.concatenate(columns), np.concatenate(values))

    def forbid(self, charge: BoolArray, discharge: BoolArray, imports: BoolArray, exports: BoolArray) -> None:
        """Hold charge and discharge (D, T), import and export (T,) at zero in the marked steps."""
        form = self.form
        upper = form.programme.upper.copy()
        for places, marked in ((form.charge_at, charge), (form.discharge_at, discharge)):
            upper[places[marked & (places >= 0)]] = 0.0
        upper[form.import_columns[:, imports]] = 0.0
        upper[form.export_columns[:, exports]] = 0.0
        self.solver.set_bounds(form.programme.lower, upper)


def search(problem: Problem, deadline: float) -> Found | None:
    """Return the best allowed powers found by the deadline; None when there are none yet."""
    shape = problem.devices.use_kwh.shape
    gates, relaxed = Gates.none(shape), False
    points = np.zeros((shape[0], shape[1] + 1), dtype=bool)
    best: Found | None = None
    for _ in range(ROUNDS):
        run = Run(problem, gates, relaxed, points, deadline)
        if best is not None:
            run.suggest(best.decision)
        answer, goals = run.solve()
        if answer.outcome is Outcome.INFEASIBLE and not relaxed:
            relaxed, best = True, None
            continue
        if answer.values is None:
            break
        points = run.points
        found = _found(run, answer, answer.values, goals)
        if not found.broken.of_devices():
            best = _better(best, found)
        if not found.broken.any():
            break
        best = _better(best, _mended(found))
        if best is not None:
            best = replace(best, bound=found.bound if best.reaches(goals) else -np.inf)
            if best.proven:
                break
        gates = gates.tightened(found.broken, problem.devices.plugged)
    return best


def _found(run: Run, answer: Answer, values: FloatArray, goals_kwh: tuple[float, ...]) -> Found:
    """Return an answer as powers, with its own bound."""
    problem = run.problem
    decision = kept_one_way(problem, decision_from(run.form, values))
    broken = broken_rules(problem, decision)
    broken = replace(broken, direction=both_directions(problem, run.form, values))
    total = total_cost(problem, decision) + penalty_of(problem, decision)
    return Found(decision, broken, total, goals_kwh, answer.bound, run, answer)


def _better(best: Found | None, found: Found | None) -> Found | None:
    """Return the better of two allowed plans: the goals decide before the total."""
    if best is None or found is None:
        return found if best is None else best
    if best.reaches(found.goals_kwh) and (not found.reaches(best.goals_kwh) or best.total < found.total):
        return replace(best, bound=found.bound if found.reaches(best.goals_kwh) else -np.inf)
    return found


def _mended(found: Found) -> Found | None:
    """Return allowed powers near an answer that breaks rules; they may not be the best."""
    return _better(_held(found), _forbidden(found))


def _held(found: Found) -> Found | None:
    """Ask for the discharge floor wherever the answer discharges below it, and solve again until it keeps it."""
    run, problem = found.run, found.run.problem
    shape = found.broken.floor.shape
    floors = np.broadcast_to(problem.devices.discharge_floor_kwh[:, None], shape)
    lower = problem.envelope.lower_kwh.copy()
    for _ in range(MENDING_ROUNDS):
        if run.relaxed or not found.broken.floor.any():
            return None
        lower[:, 1:][found.broken.floor] = floors[found.broken.floor]
        raised = replace(problem, envelope=replace(problem.envelope, lower_kwh=lower))
        run = Run(raised, Gates.none(shape), False, run.points, run.deadline)
        answer, goals = run.solve()
        if answer.values is None:
            return None
        found = _found(run, answer, answer.values, goals)
        if not found.broken.of_devices():
            return found
    return None


def _forbidden(found: Found) -> Found | None:
    """Forbid what breaks a rule and solve again until nothing does."""
    problem, run = found.run.problem, found.run
    stretches = stretches_of(problem.devices.plugged)
    shape = stretches.shape
    charge, discharge = np.zeros(shape, bool), np.zeros(shape, bool)
    imports, exports = np.zeros(shape[1], bool), np.zeros(shape[1], bool)
    for turn in range(MENDING_ROUNDS):
        broken = found.broken
        floor = spread(broken.floor, stretches) if turn >= MENDING_ROUNDS // 2 else broken.floor
        gaining = stored_kwh(problem, found.decision) >= 0.0
        importing = flows_of(problem.case, found.decision).import_kw > 0.0
        charge |= broken.ceiling | (broken.one_way & ~gaining)
        discharge |= floor | (broken.one_way & gaining)
        imports |= broken.direction & ~importing
        exports |= broken.direction & importing
        run = Run(problem, Gates.none(shape), run.relaxed, run.points, run.deadline)
        run.forbid(charge, discharge, imports, exports)
        answer, goals = run.solve()
        if answer.values is None:
            return None
        found = _found(run, answer, answer.values, goals)
        if not found.broken.any():
            return found
    return None


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
    run.solver.hold_optimum(answer.values, answer.duals)
    run.solver.set_cost(_late_energy(run))
    tidy = run.solve_within_limits()
    if tidy.values is None:
        return found
    other = _found(run, tidy, tidy.values, found.goals_kwh)
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
        cost[places[used]] = -(remaining * per_kw[:, None])[used]
    return cost
