"""One HiGHS instance that holds a linear programme: solve it, change it, solve it again from the last basis."""

import time
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from enum import Enum
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from charging.planner.arrays import LinearProgramme
from charging.planner.case import BoolArray, FloatArray, IntArray
from charging.planner.entries import Entries

# The pip build of HiGHS refuses some options and then goes on without them: every option is checked.
OPTIONS: dict[str, Any] = {
    "output_flag": False,
    "threads": 1,
    "random_seed": 1,
    "mip_abs_gap": 5e-5,
}

DUAL_TOLERANCE = 1e-7
DUAL, PRIMAL = 1, 4


class SolverError(RuntimeError):
    """HiGHS refused an option or a model, or failed to solve it; the message says which."""


class Outcome(Enum):
    """What a solve came to."""

    OPTIMAL = "optimal"
    CUT_OFF = "cut off by the time limit"
    INFEASIBLE = "infeasible"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, eq=False)
class Duals:
    """The duals of an optimal linear programme; a row's dual is the change of cost per unit of its bound."""

    rows: FloatArray
    columns: FloatArray
    row_values: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One solve: `values` is None without a feasible point; `bound` is proven, -inf when there is none.

    `duals` are None for a programme with switches and for a solve that was cut off.
    """

    outcome: Outcome
    values: FloatArray | None
    objective: float
    bound: float
    duals: Duals | None = None


def _check(status: Any, what: str) -> None:
    if status == highspy.HighsStatus.kError:
        raise SolverError(f"HiGHS refused {what}")


def _silent_highs(gap: float, switches: bool) -> Any:
    # The public class prints a banner before it can be told not to; its base is the same solver, silent.
    highs: Any = highspy._core._Highs()
    # The linear programmes hold little that presolve could take away, and it costs as much as the solve.
    presolve = "choose" if switches else "off"
    for name, value in (OPTIONS | {"mip_rel_gap": gap, "presolve": presolve}).items():
        _check(highs.setOptionValue(name, value), f"the option {name}={value}")
    return highs


class Solver:
    """A programme inside HiGHS that can be changed and solved again from the last basis."""

    def __init__(
        self, programme: LinearProgramme, deadline: float, gap: float, active: BoolArray | None = None
    ) -> None:
        """Load a programme; `deadline` is in seconds of `time.perf_counter`, `gap` is where switches end.

        A linear programme may begin with the `active` columns alone; the others, whose lower bound must be 0, are
        brought in when a solve turns out to need them, so that every answer is one of the whole programme.
        """
        self._deadline, self._gap = deadline, gap
        self._highs = _silent_highs(gap, bool(programme.whole.any()))
        self._feasible = False
        self._whole, self._cost = programme.whole, programme.cost
        self._lower, self._upper = programme.lower, programme.upper
        count = len(programme.cost)
        self._columns = np.arange(count) if active is None else np.flatnonzero(active)
        self._place = _places(self._columns, count)
        self._rows = len(programme.row_lower)
        self._entries = Entries.of_rows(
            programme.row_starts[:-1], programme.column_of_entry, programme.value_of_entry
        )
        starts, columns, values = self._entries.by_rows(self._place, 0, self._rows)
        status = self._highs.passModel(
            len(self._columns),
            self._rows,
            len(values),
            int(highspy.MatrixFormat.kRowwise),
            int(highspy.ObjSense.kMinimize),
            programme.constant,
            programme.cost[self._columns],
            programme.lower[self._columns],
            programme.upper[self._columns],
            programme.row_lower,
            programme.row_upper,
            np.append(starts, len(values)).astype(np.int32),
            columns.astype(np.int32),
            values,
            programme.whole[self._columns].astype(np.int32),
        )
        _check(status, "the model")

    def twin(self) -> "Solver":
        """Return another solver with the same programme, the same rows added since, and the same basis."""
        twin = copy(self)
        twin._highs = _silent_highs(self._gap, bool(self._whole.any()))
        _check(twin._highs.passModel(self._highs.getLp()), "a copy of the model")
        _check(twin._highs.setBasis(self._highs.getBasis()), "a copy of the basis")
        return twin

    def solve(self) -> Answer:
        """Solve until optimal or until the deadline."""
        while True:
            answer = self._solve_active()
            wanted = self._wanted(answer)
            if not wanted.size:
                return answer
            self._bring_in(wanted)
            self._feasible = answer.values is not None

    def _solve_active(self) -> Answer:
        remaining = self._deadline - time.perf_counter()
        if remaining <= 0.0:
            return Answer(Outcome.CUT_OFF, None, np.inf, -np.inf)
        # HiGHS holds its time limit against the time of all runs of an instance so far.
        limit = self._highs.getRunTime() + remaining
        _check(self._highs.setOptionValue("time_limit", limit), "the time limit")
        # Where only better columns have come in, the basis is still feasible and the primal simplex needs a few steps.
        strategy = PRIMAL if self._feasible else DUAL
        _check(self._highs.setOptionValue("simplex_strategy", strategy), "the kind of simplex")
        self._feasible = False
        self._run()
        answer = self._answer()
        if answer.outcome is Outcome.INFEASIBLE and self._whole.any():
            # Presolve has called a programme with switches impossible that was not.
            _check(self._highs.setOptionValue("presolve", "off"), "the option presolve=off")
            self._run()
            answer = self._answer()
        return answer

    def _run(self) -> None:
        """Run HiGHS; raises SolverError where it fails a second time.

        All of HiGHS in one thread shares a scheduler. Where another user of it began with another number of threads,
        a run is refused until it takes what there is, which is what 0 threads says.
        """
        if self._highs.run() != highspy.HighsStatus.kError:
            return
        _check(self._highs.setOptionValue("threads", 0), "the option threads=0")
        if self._highs.run() == highspy.HighsStatus.kError:
            reason = self._highs.modelStatusToString(self._highs.getModelStatus())
            raise SolverError(f"HiGHS could not solve the programme: {reason}")

    def _wanted(self, answer: Answer) -> IntArray:
        """Return the columns to bring in: those with a negative reduced cost, or all if there is no point without."""
        absent = self._place < 0
        if answer.outcome is Outcome.INFEASIBLE:
            return np.flatnonzero(absent)
        if answer.duals is None:
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero(absent & (answer.duals.columns < -DUAL_TOLERANCE) & (self._upper > 0.0))

    def _bring_in(self, columns: IntArray) -> None:
        if not columns.size:
            return
        starts, rows, values = self._entries.by_columns(columns, len(self._cost))
        status = self._highs.addCols(
            len(columns),
            self._cost[columns],
            self._lower[columns],
            self._upper[columns],
            len(values),
            starts.astype(np.int32),
            rows.astype(np.int32),
            values,
        )
        _check(status, "more columns")
        self._columns = np.concatenate([self._columns, columns])
        self._place = _places(self._columns, len(self._cost))

    def _answer(self) -> Answer:
        status, info = self._highs.getModelStatus(), self._highs.getInfo()
        kinds = highspy.HighsModelStatus
        outcome = {
            kinds.kOptimal: Outcome.OPTIMAL,
            kinds.kTimeLimit: Outcome.CUT_OFF,
            kinds.kInfeasible: Outcome.INFEASIBLE,
            # No programme of ours is unbounded: every cost that could fall for ever has a bound.
            kinds.kUnboundedOrInfeasible: Outcome.INFEASIBLE,
        }.get(status, Outcome.FAILED)
        feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        if not feasible or outcome in (Outcome.INFEASIBLE, Outcome.FAILED):
            return Answer(outcome, None, np.inf, -np.inf)
        solution = self._highs.getSolution()
        objective = info.objective_function_value
        values, bound, duals = np.zeros(len(self._cost)), -np.inf, None
        values[self._columns] = solution.col_value
        if self._whole.any():
            bound = min(objective, info.mip_dual_bound)
        elif outcome is Outcome.OPTIMAL:
            bound = objective
            duals = self._duals(solution)
        return Answer(outcome, values, objective, bound, duals)

    def _duals(self, solution: Any) -> Duals:
        rows = np.array(solution.row_dual)
        columns = np.empty(len(self._cost))
        if len(self._columns) < len(columns):
            columns = self._cost - self._entries.weighted(rows, len(columns))
        columns[self._columns] = solution.col_dual
        return Duals(rows, columns, np.array(solution.row_value))

    def add_rows(
        self, lower: FloatArray, upper: FloatArray, starts: IntArray, columns: IntArray, values: FloatArray
    ) -> None:
        """Add rows (CSR without the closing start) and keep the basis."""
        more = Entries.of_rows(starts, columns, values, self._rows)
        starts, columns, values = more.by_rows(self._place, self._rows, len(lower))
        status = self._highs.addRows(
            len(lower),
            lower,
            upper,
            len(values),
            starts.astype(np.int32),
            columns.astype(np.int32),
            values,
        )
        _check(status, "more rows")
        self._feasible = False
        self._entries = self._entries.and_of(more)
        self._rows += len(lower)

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return self._rows

    def set_sides(self, rows: IntArray, lower: FloatArray, upper: FloatArray) -> None:
        """Replace what some rows are held between."""
        self._feasible = False
        status = self._highs.changeRowsBounds(len(rows), rows.astype(np.int32), lower, upper)
        _check(status, "other sides of rows")

    def suggest(self, columns: IntArray, values: FloatArray) -> None:
        """Offer values of some columns as a start for a search with switches."""
        places = self._place[columns]
        status = self._highs.setSolution(
            len(places[places >= 0]), places[places >= 0].astype(np.int32), values[places >= 0]
        )
        _check(status, "a start")

    def set_cost(self, cost: FloatArray) -> None:
        """Replace the cost of all columns."""
        self._cost = cost
        count = len(self._columns)
        status = self._highs.changeColsCost(count, _numbers(count), cost[self._columns])
        _check(status, "a new goal")

    def set_bounds(self, lower: FloatArray, upper: FloatArray) -> None:
        """Replace the bounds of all columns."""
        self._feasible = False
        self._lower, self._upper = lower, upper
        self._bring_in(np.flatnonzero((self._place < 0) & (lower != 0.0)))
        count = len(self._columns)
        status = self._highs.changeColsBounds(
            count, _numbers(count), lower[self._columns], upper[self._columns]
        )
        _check(status, "new bounds")

    def tighten(self, limits: Iterable[tuple[int, float, float]]) -> None:
        """Narrow the bounds of some columns to a lower and an upper value, beside those that hold already."""
        lower, upper = self._lower.copy(), self._upper.copy()
        for column, low, high in limits:
            lower[column], upper[column] = max(lower[column], low), min(upper[column], high)
        self.set_bounds(lower, upper)

    def set_deadline(self, deadline: float) -> None:
        """Replace the deadline, in seconds of `time.perf_counter`."""
        self._deadline = deadline

    def fix_switches(self, values: FloatArray) -> None:
        """Hold every switch at its value, which leaves a linear programme with duals."""
        fixed = np.round(values)
        self.set_bounds(np.where(self._whole, fixed, self._lower), np.where(self._whole, fixed, self._upper))
        count = len(self._columns)
        kinds = np.zeros(count, dtype=np.uint8)
        status = self._highs.changeColsIntegrality(count, _numbers(count), kinds)
        _check(status, "fixed switches")
        self._whole = np.zeros(len(values), dtype=bool)

    def hold_optimum(self, values: FloatArray, duals: Duals, all_columns: bool) -> None:
        """Shrink the programme to its optimal face: any later goal leaves the present one as good as it is.

        Without `all_columns`, what has not been brought in so far stays out.

        By complementary slackness a point is optimal if and only if it is feasible, every column with a reduced
        cost stays at its bound, and every row with a dual stays at its side.
        """
        held = np.abs(duals.columns) > DUAL_TOLERANCE
        if all_columns:
            self._bring_in(np.flatnonzero((self._place < 0) & ~held))
        held |= self._place < 0
        values = np.clip(values, self._lower, self._upper)
        self.set_bounds(np.where(held, values, self._lower), np.where(held, values, self._upper))
        rows = np.nonzero(np.abs(duals.rows) > DUAL_TOLERANCE)[0].astype(np.int32)
        sides = duals.row_values[rows]
        _check(self._highs.changeRowsBounds(len(rows), rows, sides, sides), "held rows")


def _places(columns: IntArray, count: int) -> IntArray:
    """Return the place of each of `count` columns in a list, -1 where it is not in it."""
    places = np.full(count, -1, dtype=np.int64)
    places[columns] = np.arange(len(columns))
    return places


def _numbers(count: int) -> NDArray[np.int32]:
    return np.arange(count, dtype=np.int32)
