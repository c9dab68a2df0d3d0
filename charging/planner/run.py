"""One formulation inside the solver, and what is read from its answers."""

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from charging.planner.band_columns import underpriced
from charging.planner.case import BoolArray, FloatArray, IntArray
from charging.planner.devices import Problem
from charging.planner.energy_rows import (
    Rows,
    fall_rows,
    falls_of,
    kept_rows,
    limit_rows,
    minimum_rows,
    taper_rows,
)
from charging.planner.formulation import formulate
from charging.planner.gates import Gates, lowest_kwh
from charging.planner.highs import Answer, Outcome, Solver
from charging.planner.pricing import first_columns
from charging.planner.rules import (
    both_directions,
    broken_rules,
    decision_from,
    kept_one_way,
    penalty_of,
    promised_path,
    untrue_losses,
)
from charging.planner.settle import Decision, energy_path, flows_of, leaving_kwh, total_cost
from charging.planner.taper import hull_of

ENERGY_KWH = 1e-5
TAPER_KW = 2e-5
GOAL_KWH = 1e-4
# Where the last plan was as near as this to a row, the next one probably needs it.
NEAR_KWH = 0.1
SAME_SHARE = 1e-6
SAME_AMOUNT = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What has a row of its own.

    Boundaries (D, T + 1): SoC limits, what a stretch keeps, and the relaxed minimum. Steps (D, T): the taper. `falls`
    are numbers of pairs of checkpoints (energy_rows.Falls), sorted.
    """

    limits: BoolArray
    kept: BoolArray
    minimum: BoolArray
    falls: IntArray
    taper: BoolArray

    @classmethod
    def nothing(cls, problem: Problem) -> "Known":
        """Return no rows."""
        none = np.zeros(problem.envelope.idle_kwh.shape, bool)
        return cls(none, none, none, np.empty(0, np.int64), none[:, 1:])

    def any(self) -> bool:
        """Tell whether there is any."""
        marked = self.limits | self.kept | self.minimum
        return bool(marked.any()) or self.falls.size > 0 or bool(self.taper.any())

    def without(self, other: "Known") -> "Known":
        """Return what is here and not in the other."""
        return Known(
            self.limits & ~other.limits,
            self.kept & ~other.kept,
            self.minimum & ~other.minimum,
            np.setdiff1d(self.falls, other.falls),
            self.taper & ~other.taper,
        )

    def together(self, other: "Known") -> "Known":
        """Return what is here or in the other."""
        return Known(
            self.limits | other.limits,
            self.kept | other.kept,
            self.minimum | other.minimum,
            np.union1d(self.falls, other.falls),
            self.taper | other.taper,
        )


class Run:
    """One formulation inside the solver, with the energy rows that were found to bind."""

    def __init__(
        self,
        problem: Problem,
        gates: Gates,
        known: Known,
        deadline: float,
        *,
        relaxed: bool = False,
        loose: bool = False,
        gap: float = SAME_SHARE,
    ) -> None:
        """Formulate and load; `loose` takes switches as fractions, else the solver stops at half of `gap`."""
        self.problem, self.deadline, self.relaxed, self.loose = problem, deadline, relaxed, loose
        self.known = known
        self.least_kwh = lowest_kwh(problem, relaxed)
        self.form = formulate(problem, gates, relaxed, self.least_kwh)
        self._falls = falls_of(self.form, problem, self.least_kwh)
        self._lines = hull_of(problem.case.vehicles, problem.envelope.upper_kwh.max(axis=1))
        programme, active = self.form.programme, None
        if loose:
            programme = replace(programme, whole=np.zeros_like(programme.whole))
        if loose and not relaxed:
            active = first_columns(self.form, problem, deadline, gap)
        self.solver = Solver(programme, deadline, gap / 2, active)
        # Rows of the whole loss of charging and of discharging (2, D, T), as far as they were needed.
        self._loss_rows = np.full((2, *problem.devices.use_kwh.shape), -1, dtype=np.int64)
        if problem.start is not None:
            tight = self._falls.lacking_kwh(problem.start.energy_kwh) > -NEAR_KWH
            self.known = known.together(replace(Known.nothing(problem), falls=self._falls.number[tight]))
        self._add_energy_rows(self.known)

    def _add_energy_rows(self, known: Known) -> None:
        for rows in (
            limit_rows(self.form, self.problem, known.limits, self.least_kwh),
            kept_rows(self.form, self.problem, known.kept),
            minimum_rows(self.form, self.problem, known.minimum),
            fall_rows(self.form, self._falls.some(np.isin(self._falls.number, known.falls))),
            taper_rows(self.form, self.problem, self._lines, known.taper),
        ):
            self._add_rows(rows)

    def _add_rows(self, rows: Rows) -> None:
        if rows.lower.size:
            self.solver.add_rows(rows.lower, rows.upper, rows.starts, rows.columns, rows.values)

    def again(self) -> "Run":
        """Return a run to restrict further, with switches as fractions; it starts from this one's basis if it can.

        With goals above money it cannot, because the ceilings of the goals reached so far are rows by now.
        """
        if self.relaxed or not self.loose:
            gates = Gates.none(self.problem.devices.use_kwh.shape)
            return Run(self.problem, gates, self.known, self.deadline, relaxed=self.relaxed, loose=True)
        twin = copy(self)
        twin.solver = self.solver.twin()
        return twin

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
            crossed = self._crossed(answer.values).without(self.known)
            if not crossed.any():
                return answer
            if answer.outcome is Outcome.CUT_OFF:
                return replace(answer, values=None)
            self.known = self.known.together(crossed)
            self._add_energy_rows(crossed)

    def _crossed(self, values: FloatArray) -> Known:
        """Return the boundaries whose energy limits an answer breaks."""
        form, decision = self.form, decision_from(self.form, values)
        envelope, path = self.problem.envelope, energy_path(self.problem, decision)
        if self.problem.devices.lossy().any():
            path = promised_path(self.problem, form, values)
        beyond = (path < self.least_kwh - ENERGY_KWH) | (path > envelope.upper_kwh + ENERGY_KWH)
        kept = np.where(form.kept_at >= 0, values[form.kept_at], -np.inf)
        deficit = np.where(form.deficit_at >= 0, values[form.deficit_at], np.inf)
        return Known(
            beyond & (form.energy_at < 0),
            path < kept - ENERGY_KWH,
            path + deficit < envelope.lower_kwh - ENERGY_KWH,
            self._falls.number[self._falls.lacking_kwh(path) > ENERGY_KWH],
            self._lines.crossed(decision.charge_kw, path, TAPER_KW),
        )

    def have_until(self, deadline: float) -> None:
        """Replace the deadline."""
        self.deadline = deadline
        self.solver.set_deadline(deadline)

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

    def hold(self, limits: Iterable[tuple[int, float, float]]) -> None:
        """Hold some columns between a lower and an upper value; all others are free again."""
        lower, upper = self.form.programme.lower.copy(), self.form.programme.upper.copy()
        for column, low, high in limits:
            lower[column], upper[column] = max(lower[column], low), min(upper[column], high)
        self.solver.set_bounds(lower, upper)

    def hold_order(self, path_kwh: FloatArray) -> None:
        """Hold the order of the bands as a path (D, T + 1) fills them, beside what is held already."""
        self.solver.tighten(self.form.bands.at_path(path_kwh))

    def restrict(self, idle: "Idle", least_kwh: FloatArray) -> None:
        """Hold powers at zero where they are to be idle, and energies (D, T + 1) at or above `least_kwh`."""
        form, tapers = self.form, self.problem.devices.tapers
        lower, upper = form.programme.lower.copy(), form.programme.upper.copy()
        device, step = np.nonzero(idle.slow & (form.charge_at >= 0))
        upper[form.charge_at[device, step]] = np.minimum(
            upper[form.charge_at[device, step]], tapers.end_kw(len(form.charge_at))[device]
        )
        for places, marked in ((form.charge_at, idle.charge), (form.discharge_at, idle.discharge)):
            upper[places[marked & (places >= 0)]] = 0.0
        self._hold_least(idle, lower, upper)
        self._hold_losses(idle, upper)
        upper[form.import_columns[:, idle.imports]] = 0.0
        upper[form.export_columns[:, idle.exports]] = 0.0
        points = form.energy_at >= 0
        lower[form.energy_at[points]] = np.maximum(lower[form.energy_at[points]], least_kwh[points])
        self.solver.set_bounds(lower, upper)
        raised = least_kwh > self.least_kwh
        if raised.any():
            self.least_kwh = least_kwh
            # What was at its limit or kept there will be so again.
            likely = (self.known.limits | self.known.kept) & raised
            self.known = replace(self.known, limits=(self.known.limits & ~raised) | likely)
            self._add_rows(limit_rows(form, self.problem, likely, least_kwh))

    def _hold_least(self, idle: "Idle", lower: FloatArray, upper: FloatArray) -> None:
        """Hold powers that are to be on at or above their least one, where they may be on at all."""
        devices = self.problem.devices
        for places, marked, least in (
            (self.form.charge_at, idle.charge_on, devices.least_charge_kw),
            (self.form.discharge_at, idle.discharge_on, devices.least_discharge_kw),
        ):
            device, step = np.nonzero(marked & (places >= 0))
            columns = places[device, step]
            lower[columns] = np.minimum(np.maximum(lower[columns], least[device]), upper[columns])

    def _hold_losses(self, idle: "Idle", upper: FloatArray) -> None:
        """Hold losses at what they are where powers are to be idle or on: lost + power * loss / most = loss, if on.

        A row that an earlier call has made is let go where the power is not to be on any more.
        """
        sides = zip(self.form.powers.pairs(), self.problem.devices.sides(), strict=True)
        ways = (
            (idle.charge, idle.charge_on & ~idle.charge),
            (idle.discharge, idle.discharge_on & ~idle.discharge),
        )
        rows, made = self._loss_rows.copy(), []
        for number, (((at, lost_at), side), (off, on)) in enumerate(zip(sides, ways, strict=True)):
            upper[lost_at[off & (lost_at >= 0)]] = 0.0
            device, step = np.nonzero(on & (lost_at >= 0) & (rows[number] < 0))
            rows[number, device, step] = self.solver.rows + np.arange(len(device))
            columns = np.stack([at[device, step], lost_at[device, step]], axis=1)
            values = np.stack(
                [side.loss_kw[device] / side.most_kw[device, step], np.ones(len(device))], axis=1
            )
            order = np.argsort(columns, axis=1)
            columns, values = (np.take_along_axis(item, order, axis=1).ravel() for item in (columns, values))
            free = np.full(len(device), np.inf)
            self._add_rows(Rows(-free, free, 2 * np.arange(len(device)), columns, values))
            device, step = np.nonzero(rows[number] >= 0)
            loss = np.where(on[device, step], side.loss_kw[device], np.inf)
            made.append((rows[number, device, step], np.where(on[device, step], loss, -np.inf), loss))
        self._loss_rows = rows
        for numbers, lowest, highest in made:
            if numbers.size:
                self.solver.set_sides(numbers, lowest, highest)


@dataclass(frozen=True, slots=True, eq=False)
class Idle:
    """Steps without charge and without discharge of a device (D, T), without import and without export (T,).

    `slow`: steps (D, T) with at most the last power of the taper. `charge_on`, `discharge_on`: steps (D, T) with at
    least the least power.
    """

    charge: BoolArray
    discharge: BoolArray
    imports: BoolArray
    exports: BoolArray
    slow: BoolArray
    charge_on: BoolArray
    discharge_on: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Powers read from an answer, with what is proven about them.

    `goals_kwh` are the levels above money: excess of the site, missing at "must" targets, the same on the bad day,
    missing to what such a day wants vehicles to leave with, to the minimum, to the backup, and to what a person
    ordered to charge now.
    `total` is the cost plus the price of missed "should" targets; `bound` is a proven lower bound of `total` among
    plans that reach the same goals (-inf when none is known). `path_kwh` (D, T + 1) are the energies that the answer
    counts on; they are those of the powers where no rule of losses is broken.
    """

    decision: Decision
    path_kwh: FloatArray
    broken: Gates
    cost: float
    total: float
    goals_kwh: tuple[float, ...]
    bound: float
    run: Run
    answer: Answer

    def reaches(self, goals_kwh: tuple[float, ...]) -> bool:
        """Tell whether no goal above money is further away than given."""
        pairs = zip(self.goals_kwh, goals_kwh, strict=True)
        return all(own <= other + 2 * (GOAL_KWH + SAME_SHARE * other) for own, other in pairs)

    def within(self, gap: float) -> bool:
        """Tell whether the bound proves that no plan costs less by more than a share of the cost."""
        return self.total - self.bound <= SAME_AMOUNT + gap * abs(self.cost)


def found_in(run: Run, answer: Answer, values: FloatArray, goals_kwh: tuple[float, ...]) -> Found:
    """Return an answer as powers, with its own bound."""
    problem = run.problem
    decision = kept_one_way(problem, decision_from(run.form, values))
    path = energy_path(problem, decision)
    less, more = untrue_losses(problem, run.form, values)
    # Where an answer counts on too small a loss, what else it breaks shows only on the path that it thinks of.
    thought = promised_path(problem, run.form, values) if less.any() else path
    broken = broken_rules(problem, decision, thought)
    broken = replace(
        broken,
        direction=both_directions(problem, run.form, values),
        bands=underpriced(
            problem.devices.bands,
            run.form.bands,
            values,
            leaving_kwh(problem, decision),
            path,
            problem.devices.plugged,
        ),
    )
    cost = total_cost(problem, decision)
    total = cost + penalty_of(problem, decision)
    # To count on more than is lost does harm only where it kept another rule, or where money hangs on it.
    harmful = broken.of_devices() or total > answer.objective + SAME_AMOUNT
    broken = replace(broken, loss=broken.loss | less | (more & harmful))
    return Found(decision, thought, broken, cost, total, goals_kwh, answer.bound, run, answer)


def better(best: Found | None, found: Found | None) -> Found | None:
    """Return the better of two allowed plans: the goals decide before the total."""
    if best is None or found is None:
        return found if best is None else best
    if best.reaches(found.goals_kwh) and (not found.reaches(best.goals_kwh) or best.total < found.total):
        return best
    return found
