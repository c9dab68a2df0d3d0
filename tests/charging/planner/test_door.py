"""The text of a case file in, the text of a plan out; and the limits of the solver's door."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import highspy
import numpy as np
import pytest

from charging.planner import highs
from charging.planner.arrays import ProgrammeBuilder
from charging.planner.case import CaseError
from charging.planner.door import solve_text
from charging.planner.highs import OPTIONS, Outcome, Solver, SolverError
from charging.planner.solve import solve
from tests.charging.planner.small import document, must, small


def test_a_case_becomes_a_plan():
    data = document(vehicles__0__targets=[must(4, 0.8)])
    plan = json.loads(solve_text(json.dumps(data), "CASE.json", 10.0))
    assert (plan["version"], plan["case"], plan["status"]) == (1, "small", "optimal")
    assert set(plan) == {
        "version",
        "case",
        "status",
        "objective",
        "bound",
        "gap",
        "seconds",
        "cost",
        "site",
        "demand_peaks",
        "vehicles",
        "storage",
        "flexible_loads",
        "shortfalls",
        "exceeded_limits",
        "marginal_price_per_kwh",
        "explanations",
        "events",
        "reserve",
        "what_if",
        "swaps",
        "changed_kw",
        "bad_day",
    }
    assert set(plan["cost"]) == {
        "energy_import",
        "energy_export",
        "demand",
        "wear",
        "programmes",
        "total",
        "standing",
    }
    assert set(plan["vehicles"]["bus"]) == {"charger", "charge_kw", "discharge_kw", "soc"}
    assert len(plan["vehicles"]["bus"]["soc"]) == 5


def test_nothing_but_the_plan_is_printed(capfd):
    solve_text(json.dumps(document()), "CASE.json", 10.0)
    assert capfd.readouterr().out == ""


def test_broken_json_names_line_and_column():
    with pytest.raises(CaseError) as caught:
        solve_text('{"version": 1,\n "steps": }', "CASE.json", 10.0)
    assert caught.value.problems == [
        "CASE.json: line 2, column 11: is not JSON (Expecting value); write one JSON object as the case"
    ]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"steps": ' + "1" * 5000 + "}"], ids=["nested", "digits"])
def test_json_beyond_all_measure_is_refused(text):
    with pytest.raises(CaseError, match=r"CASE\.json: cannot be read \(.*; write one JSON object"):
        solve_text(text, "CASE.json", 10.0)


def test_a_wrong_case_names_its_place():
    with pytest.raises(CaseError, match=r"CASE\.json: steps: is missing; add it"):
        solve_text("{}", "CASE.json", 10.0)


def knapsack(count):
    """Return a programme with switches: the heaviest choice below a limit."""
    builder = ProgrammeBuilder()
    weights = np.sqrt(np.arange(2.0, count + 2))
    columns = builder.add_switches(count)
    rest = builder.add_columns(1, 1.0)
    row = builder.add_rows(1, weights.sum() / 2, weights.sum() / 2)
    builder.put(np.repeat(row, count), columns, weights)
    builder.put(row, rest, 1.0)
    return builder.programme()


def test_an_option_that_is_refused_is_an_error(monkeypatch):
    monkeypatch.setitem(OPTIONS, "solver", "no such solver")
    with pytest.raises(SolverError, match="HiGHS refused the option solver=no such solver"):
        Solver(knapsack(3), time.perf_counter() + 1, 1e-6)


def test_a_search_that_is_cut_off_says_so():
    answer = Solver(knapsack(60), time.perf_counter() + 0.3, 1e-6).solve()
    assert answer.outcome in (Outcome.CUT_OFF, Outcome.OPTIMAL)
    assert answer.bound <= answer.objective
    assert answer.duals is None


def test_an_impossible_programme_is_infeasible():
    builder = ProgrammeBuilder()
    builder.put(builder.add_rows(1, 2.0, 2.0), builder.add_columns(1, 1.0, 0.0, 1.0), 1.0)
    assert Solver(builder.programme(), time.perf_counter() + 1, 1e-6).solve().outcome is Outcome.INFEASIBLE


def in_a_thread_with_two_highs_threads(task):
    """Do a task where another user of HiGHS has begun with two threads; a scheduler belongs to one thread of ours."""

    def other_first():
        other = highspy._core._Highs()
        other.setOptionValue("output_flag", False)
        other.setOptionValue("threads", 2)
        assert other.run() == highspy.HighsStatus.kOk
        return task()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(other_first).result()


def test_another_user_of_highs_with_other_threads_changes_nothing():
    case = small(vehicles__0__targets=[must(4, 0.8)])
    alone, beside = solve(case), in_a_thread_with_two_highs_threads(lambda: solve(case))
    assert beside.status == "optimal"
    assert beside.objective == pytest.approx(alone.objective)


class Failing:
    """HiGHS that refuses to run."""

    def __init__(self, highs):
        self._highs = highs

    def __getattr__(self, name):
        return getattr(self._highs, name)

    def run(self):
        return highspy.HighsStatus.kError


def test_a_run_that_fails_twice_is_an_error_and_the_rule_based_plan_stands_in(monkeypatch):
    made = highs._silent_highs
    monkeypatch.setattr(highs, "_silent_highs", lambda *args: Failing(made(*args)))
    with pytest.raises(SolverError, match="HiGHS could not solve the programme"):
        solve(small())
    said = []
    plan = json.loads(solve_text(json.dumps(document()), "CASE.json", 5.0, said.append))
    assert plan["status"] == "fallback"
    assert said == [
        "CASE.json: the solver failed, so this is the rule-based plan: HiGHS could not solve the programme: Not Set"
    ]
