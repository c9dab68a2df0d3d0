"""Columns left out by a coarse answer's prices, and brought in where a solve needs them."""

import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from charging.planner import pricing
from charging.planner.arrays import LinearProgramme
from charging.planner.case import case_from_json
from charging.planner.entries import Entries
from charging.planner.highs import Outcome, Solver
from charging.planner.pricing import tied
from charging.planner.reference import solve_reference
from charging.planner.solve import solve
from charging.planner.verify import verify
from tests.charging.planner.cases import depots, returning_depots

some = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def programme(cost, wanted):
    """Reach `wanted` with three columns of 0 to 1."""
    return LinearProgramme(
        cost=np.array(cost),
        lower=np.zeros(3),
        upper=np.ones(3),
        whole=np.zeros(3, bool),
        row_lower=np.array([wanted, -np.inf]),
        row_upper=np.array([np.inf, 9.0]),
        row_starts=np.array([0, 3, 4]),
        column_of_entry=np.array([0, 1, 2, 1]),
        value_of_entry=np.array([1.0, 1.0, 1.0, 2.0]),
        constant=0.0,
    )


def solver(cost, wanted, active):
    return Solver(programme(cost, wanted), time.perf_counter() + 10.0, 1e-4, np.array(active))


def test_a_column_that_the_answer_asks_for_is_brought_in():
    answer = solver([3.0, 1.0, 2.0], 1.5, [True, True, False]).solve()
    assert answer.values.tolist() == [0.0, 1.0, 0.5]
    assert answer.bound == answer.objective == pytest.approx(2.0)


def test_a_column_that_costs_too_much_stays_out_and_has_its_reduced_cost():
    answer = solver([1.0, 2.0, 3.0], 1.5, [True, True, False]).solve()
    assert answer.values.tolist() == [1.0, 0.5, 0.0]
    assert answer.duals.columns.tolist() == pytest.approx([-1.0, 0.0, 1.0])


def test_all_columns_are_brought_in_before_a_programme_is_called_infeasible():
    assert solver([1.0, 1.0, 1.0], 2.5, [True, False, False]).solve().values.sum() == pytest.approx(2.5)
    assert solver([1.0, 1.0, 1.0], 3.5, [True, False, False]).solve().outcome is Outcome.INFEASIBLE


def test_rows_and_bounds_reach_columns_that_come_in_later():
    one = solver([1.0, 2.0, 3.0], 0.5, [True, False, False])
    assert one.solve().values.tolist() == [0.5, 0.0, 0.0]
    one.add_rows(np.array([0.8]), np.array([np.inf]), np.array([0]), np.array([1, 2]), np.array([1.0, 1.0]))
    twin = one.twin()
    twin.set_bounds(np.array([0.0, 0.0, 0.3]), np.ones(3))
    assert twin.solve().values.tolist() == pytest.approx([0.0, 0.5, 0.3])
    one.set_cost(np.array([1.0, 3.0, 2.0]))
    assert one.solve().values.tolist() == pytest.approx([0.0, 0.0, 0.8])


def test_tied_columns_are_one_column():
    coarse = tied(programme([1.0, 2.0, 4.0], 1.5), np.array([0, 0, 1]))
    assert (coarse.cost.tolist(), coarse.row_starts.tolist()) == ([3.0, 4.0], [0, 2, 3])
    assert (coarse.column_of_entry.tolist(), coarse.value_of_entry.tolist()) == ([0, 1, 0], [2.0, 1.0, 2.0])


def test_entries_by_columns_are_those_of_the_rows():
    entries = Entries.of_rows(np.array([0, 2]), np.array([2, 0, 1, 2]), np.array([1.0, 2.0, 3.0, 4.0]))
    starts, rows, values = entries.by_columns(np.array([2, 1]), 3)
    assert (starts.tolist(), rows.tolist(), values.tolist()) == ([0, 2], [0, 1, 1], [1.0, 4.0, 3.0])
    assert entries.weighted(np.array([10.0, 1.0]), 3).tolist() == [20.0, 3.0, 14.0]


@pytest.mark.parametrize("fleets", [depots(), returning_depots()], ids=["any", "returning"])
def test_priced_columns_end_at_the_optimum_of_all(fleets, monkeypatch):
    monkeypatch.setattr(pricing, "FEWEST_COLUMNS", 0)

    @some
    @given(fleets)
    def check(data):
        case = case_from_json(data)
        plan, best = solve(case), solve_reference(case)
        assert verify(case, plan) == []
        assert plan.status == "optimal"
        if not plan.shortfalls and best.penalty == pytest.approx(0.0, abs=1e-6):
            assert plan.bound - 1e-3 <= best.cost
            assert plan.objective <= best.cost + 1e-3 + 1e-4 * abs(plan.objective)

    check()
