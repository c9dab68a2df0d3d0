"""The discharge floor: held without switches where it is certain, mended and branched on where it is not."""

import time

import numpy as np
import pytest

from charging.planner import branching, search
from charging.planner.branching import branched
from charging.planner.case import case_from_json
from charging.planner.devices import problem_of
from charging.planner.energy_rows import Falls, least_after_fall
from charging.planner.gates import Gates, lowest_kwh
from charging.planner.mending import _risen, mended
from charging.planner.reference import ReferenceError, solve_plain, solve_reference
from charging.planner.run import Known, Run, found_in
from charging.planner.solve import solve
from charging.planner.turning import turning_points
from charging.planner.verify import verify
from tests.charging.planner.small import CHARGER, VEHICLE, must, should, small, trip

PEAKS = [0.1, 0.1, 0.1, 0.1, 0.1, 0.5, 0.5, 0.1, 0.1, 0.1]


def returning(**changes):
    """A bus that leaves with 0.5, uses 0.25 of its battery, and comes back before a peak of price."""
    bus = VEHICLE | {"away": [trip(2, 4, 10)], "targets": [must(2, 0.5), must(10, 0.3)]} | changes
    return small(
        steps=10,
        site__export_limit_kw=50,
        prices={"import_per_kwh": PEAKS, "export_per_kwh": PEAKS},
        vehicles=[bus],
    )


def fleet(buses, import_limit_kw=100.0, **changes):
    """Like buses on chargers of their own that come back before a peak, with a floor above what they must bring."""
    bus = VEHICLE | {
        "v2g_min_soc": 0.45,
        "away": [trip(2, 4, 10)],
        "targets": [must(2, 0.5), should(10, 0.4, 0.3)],
    }
    return small(
        **{
            "steps": 10,
            "site__export_limit_kw": 50,
            "site__import_limit_kw": import_limit_kw,
            "prices": {"import_per_kwh": PEAKS, "export_per_kwh": PEAKS},
            "demand_charges": [{"id": "peak", "price_per_kw": 0.6}],
            "chargers": [CHARGER | {"id": f"c{i}", "max_charge_kw": 9} for i in range(buses)],
            "vehicles": [
                bus | {"id": f"v{i}", "charger": f"c{i}", "initial_soc": 0.5 + 0.02 * i} for i in range(buses)
            ],
        }
        | changes
    )


def loose_answer(case):
    """Return the answer of the linear programme with the floor's switches as fractions."""
    problem = problem_of(case)
    none = Gates.none(problem.devices.use_kwh.shape)
    run = Run(problem, none, Known.nothing(problem), time.perf_counter() + 20.0, loose=True)
    answer, goals = run.solve()
    assert answer.values is not None
    return found_in(run, answer, answer.values, goals)


def test_a_stay_that_certainly_begins_above_the_floor_needs_no_switch():
    problem = problem_of(returning(v2g_min_soc=0.25))
    least = lowest_kwh(problem, relaxed=False)[0]
    # It may go down to 10 kWh before the trip but must leave with 20, so that it comes back with 10 and stays there.
    assert least.tolist() == [20.0, 10.0, 20.0, 15.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 12.0]
    run = Run(
        problem,
        Gates.none(problem.devices.use_kwh.shape),
        Known.nothing(problem),
        time.perf_counter() + 20.0,
    )
    assert not run.form.programme.whole.any()


def test_a_stay_that_may_begin_below_the_floor_has_one_switch():
    problem = problem_of(returning(v2g_min_soc=0.4))
    run = Run(
        problem,
        Gates.none(problem.devices.use_kwh.shape),
        Known.nothing(problem),
        time.perf_counter() + 20.0,
    )
    assert set(np.flatnonzero(run.form.above_at[0] >= 0)) == set(range(4, 11))
    # One says whether it begins above the floor, one counts those that do.
    assert run.form.programme.whole.sum() == 2


def test_a_start_below_the_floor_keeps_what_it_has():
    least = lowest_kwh(problem_of(returning(initial_soc=0.3, v2g_min_soc=0.6)), relaxed=True)[0]
    assert least[:3].tolist() == [12.0, 12.0, 12.0]


@pytest.mark.parametrize("floor", [0.25, 0.3, 0.4, 0.6, 0.9])
def test_a_bus_around_its_floor_costs_what_the_reference_says(floor):
    case = returning(v2g_min_soc=floor)
    plan, reference = solve(case, gap=1e-6), solve_reference(case)
    assert (verify(case, plan), plan.status) == ([], "optimal")
    assert plan.objective == pytest.approx(reference.cost, abs=1e-3)


@pytest.mark.parametrize("limit", [100.0, 38.0, 30.0])
def test_like_vehicles_are_decided_by_branching(limit):
    case = fleet(5, limit)
    plan, reference = solve(case, gap=1e-6), solve_reference(case)
    assert (verify(case, plan), plan.status) == ([], "optimal")
    total = plan.objective + sum(0.3 * item.missing_kwh for item in plan.shortfalls)
    assert total == pytest.approx(reference.cost + reference.penalty, abs=2e-3)


def test_branching_never_leaves_the_optimum_out():
    case = fleet(5)
    root, reference = loose_answer(case), solve_reference(case)
    total = reference.cost + reference.penalty
    assert root.broken.floor.any()
    assert root.bound < total - 1e-3
    tree = branched(root, mended(root, 0.5), 1e-6)
    assert root.bound <= tree.bound <= total + 1e-3


def test_branching_without_time_keeps_the_bound():
    root = loose_answer(fleet(5))
    root.run.solver.set_deadline(time.perf_counter() - 1.0)
    tree = branched(root, None, 1e-6)
    assert (tree.best, tree.bound) == (None, root.bound)


def test_a_search_that_ends_early_is_honest(monkeypatch):
    case = fleet(5)
    reference = solve_reference(case)
    monkeypatch.setattr(branching, "NODES", 0)
    monkeypatch.setattr(search, "ROUNDS", 1)
    plan = solve(case, gap=1e-6)
    assert (verify(case, plan), plan.status) == ([], "feasible")
    penalty = sum(0.3 * item.missing_kwh for item in plan.shortfalls)
    assert plan.gap > 1e-6
    assert plan.bound + penalty <= reference.cost + reference.penalty + 1e-3
    assert solve(case, gap=0.5).status == "optimal"


def test_the_plain_model_leaves_rules_out_and_takes_limits_as_hard():
    case = fleet(3)
    reference = solve_reference(case)
    assert solve_plain(case) <= reference.cost + reference.penalty + 1e-6
    with pytest.raises(ReferenceError, match="not proven optimal"):
        solve_plain(fleet(3, site__import_limit_kw=5.0))


def test_a_round_that_finds_no_time_returns_nothing():
    case = case_from_json(
        {
            "version": 1,
            "name": "none",
            "start": "2026-03-10T00:00:00-05:00",
            "step_minutes": 60,
            "steps": 1,
            "currency": "USD",
            "site": {"import_limit_kw": 1, "building_load_kw": 0},
            "prices": {"import_per_kwh": 0.1},
            "chargers": [],
            "vehicles": [],
        }
    )
    assert search.search(problem_of(case), time.perf_counter() - 1.0, 1e-4) is None


def test_what_a_stay_may_fall_by_is_bounded_by_the_hull_of_what_is_allowed():
    floor, least, highest = np.array([20.0, 10.0, 50.0]), np.array([10.0, 10.0, 10.0]), np.array([40.0] * 3)
    base, slope = least_after_fall(floor, least, highest)
    for energy in np.linspace(10.0, 40.0, 13):
        assert (base + slope * energy <= np.minimum(floor, energy) + 1e-12).all()
    assert (base + slope * least).tolist() == [10.0, 10.0, 10.0]
    assert base + slope * highest == pytest.approx([20.0, 10.0, 40.0])


def test_rows_between_checkpoints_raise_the_bound(monkeypatch):
    case = returning(v2g_min_soc=0.45)
    found = loose_answer(case)
    assert found.run.known.falls.size > 0
    monkeypatch.setattr(Falls, "lacking_kwh", lambda falls, path: np.zeros(len(falls.number)))
    assert loose_answer(case).bound < found.bound - 0.1
    assert found.bound <= solve_reference(case).cost + 1e-4


def test_a_broken_stay_is_held_from_where_it_comes_up_to_its_floor():
    assert _risen(np.array([False, True, True, True, False]), np.array([0, 0, 0, 1], bool)) == 3
    assert _risen(np.array([False, False, True, True, False]), np.array([0, 1, 0, 1], bool)) == 2
    assert _risen(np.array([False, False, False]), np.array([0, 1], bool)) == 2
    assert _risen(np.array([False, True, True]), np.array([0, 0], bool)) == 2


def test_money_turns_where_prices_and_windows_change():
    case = returning(v2g_min_soc=0.45)
    assert turning_points(case).tolist() == [5]
    assert turning_points(small()).size == 1
    assert turning_points(small(steps=1, prices={"import_per_kwh": 0.1})).size == 0
