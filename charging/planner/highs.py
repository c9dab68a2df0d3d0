"""One HiGHS instance that holds a linear programme: solve it, change it, solve it again from the last basis."""

import time
from copy import copy
from dataclasses import dataclass
from enum import Enum
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from charging.planner.arrays import LinearProgramme
from charging.planner.case import FloatArray, IntArray

# The pip build of HiGHS refuses some options and then goes on without them: every option is checked.
OPTIONS: dict[str, Any] = {
    "output_flag": False,
    "threads": 1,
    "random_seed": 1,
    "mip_abs_gap": 5e-5,
}

DUAL_TOLERANCE = 1e-7


class SolverError(RuntimeError):
    """HiGHS refused an option or a model; the message says which."""


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

    def __init__(self, programme: LinearProgramme, deadline: float, gap: float) -> None:
        """Load a programme; `deadline` is in seconds of `time.perf_counter`, `gap` is where switches end."""
        self._deadline, self._gap = deadline, gap
        self._highs = _silent_highs(gap, bool(programme.whole.any()))
        self._whole = programme.whole
        self._lower, self._upper = programme.lower, programme.upper
        status = self._highs.passModel(
            len(programme.cost),
            len(programme.row_lower),
            len(programme.value_of_entry),
            int(highspy.MatrixFormat.kRowwise),
            int(highspy.ObjSense.kMinimize),
            programme.constant,
            programme.cost,
            programme.lower,
            programme.upper,
            programme.row_lower,
            programme.row_upper,
            programme.row_starts.astype(np.int32),
            programme.column_of_entry.astype(np.int32),
            programme.value_of_entry,
            programme.whole.astype(np.int32),
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
        remaining = self._deadline - time.perf_counter()
        if remaining <= 0.0:
            return Answer(Outcome.CUT_OFF, None, np.inf, -np.inf)
        # HiGHS holds its time limit against the time of all runs of an instance so far.
        limit = self._highs.getRunTime() + remaining
        _check(self._highs.setOptionValue("time_limit", limit), "the time limit")
        self._highs.run()
        return self._answer()

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
        values, bound, duals = np.array(solution.col_value), -np.inf, None
        if self._whole.any():
            bound = min(objective, info.mip_dual_bound)
        elif outcome is Outcome.OPTIMAL:
            bound = objective
            duals = Duals(
                np.array(solution.row_dual), np.array(solution.col_dual), np.array(solution.row_value)
            )
        return Answer(outcome, values, objective, bound, duals)

    def add_rows(
        self, lower: FloatArray, upper: FloatArray, starts: IntArray, columns: IntArray, values: FloatArray
    ) -> None:
        """Add rows (CSR without the closing start) and keep the basis."""
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

    def suggest(self, columns: IntArray, values: FloatArray) -> None:
        """Offer values of some columns as a start for a search with switches."""
        status = self._highs.setSolution(len(columns), columns.astype(np.int32), values)
        _check(status, "a start")

    def set_cost(self, cost: FloatArray) -> None:
        """Replace the cost of all columns."""
        status = self._highs.changeColsCost(len(cost), _numbers(len(cost)), cost)
        _check(status, "a new goal")

    def set_bounds(self, lower: FloatArray, upper: FloatArray) -> None:
        """Replace the bounds of all columns."""
        self._lower, self._upper = lower, upper
        status = self._highs.changeColsBounds(len(lower), _numbers(len(lower)), lower, upper)
        _check(status, "new bounds")

    def set_deadline(self, deadline: float) -> None:
        """Replace the deadline, in seconds of `time.perf_counter`."""
        self._deadline = deadline

    def fix_switches(self, values: FloatArray) -> None:
        """Hold every switch at its value, which leaves a linear programme with duals."""
        fixed = np.round(values)
        self.set_bounds(np.where(self._whole, fixed, self._lower), np.where(self._whole, fixed, self._upper))
        kinds = np.zeros(len(values), dtype=np.uint8)
        status = self._highs.changeColsIntegrality(len(values), _numbers(len(values)), kinds)
        _check(status, "fixed switches")
        self._whole = np.zeros(len(values), dtype=bool)

    def hold_optimum(self, values: FloatArray, duals: Duals) -> None:
        """Shrink the programme to its optimal face: any later goal leaves the present one as good as it is.

        By complementary slackness a point is optimal if and only if it is feasible, every column with a reduced
        cost stays at its bound, and every row with a dual stays at its side.
        """
        held = np.abs(duals.columns) > DUAL_TOLERANCE
        values = np.clip(values, self._lower, self._upper)
        self.set_bounds(np.where(held, values, self._lower), np.where(held, values, self._upper))
        rows = np.nonzero(np.abs(duals.rows) > DUAL_TOLERANCE)[0].astype(np.int32)
        sides = duals.row_values[rows]
        _check(self._highs.changeRowsBounds(len(rows), rows, sides, sides), "held rows")


def _numbers(count: int) -> NDArray[np.int32]:
    return np.arange(count, dtype=np.int32)
