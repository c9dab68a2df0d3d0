"""Re-planning from the last plan: the same cost, found sooner."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from charging.planner import pricing
from charging.planner.case import case_from_json
from charging.planner.classes import classes_of
from charging.planner.devices import problem_of
from charging.planner.solve import solve
from charging.planner.verify import verify
from charging.planner.warm import LastPlan, _near, start_of
from tests.charging.planner.cases import depots
from tests.charging.planner.small import CHARGER, VEHICLE, must, small


def fleet(count, **changes):
    buses = [VEHICLE | {"id": f"v{i}", "charger": f"c{i}", "targets": [must(4, 0.8)]} for i in range(count)]
    return small(vehicles=buses, chargers=[CHARGER | {"id": f"c{i}"} for i in range(count)], **changes)


def test_steps_near_those_of_the_last_plan_are_begun_with():
    power = np.array([0.0, 0.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0, 0.0])
    assert np.flatnonzero(_near(power, 1, 10)).tolist() == [3, 4, 5, 8, 9]
    assert np.flatnonzero(_near(power, 2, 5)).tolist() == [2, 3, 4]


def test_a_start_knows_the_last_plan_from_now_on_and_opens_what_it_did_not_know():
    plan = solve(fleet(1))
    problem = problem_of(fleet(2))
    start = start_of(problem, LastPlan(plan, 1))
    soc = plan.vehicles["v0"].soc
    assert start.energy_kwh[0, :4].tolist() == pytest.approx(40 * soc[1:])
    assert np.isnan(start.energy_kwh[0, 4:]).all()
    assert np.isnan(start.energy_kwh[1]).all()
    assert start.charge[1].all()
    assert start.charge[0, -1]


def test_a_class_begins_wherever_one_of_its_vehicles_does():
    case = fleet(2)
    start = start_of(problem_of(case), LastPlan(solve(case), 0))
    together = classes_of(case).start(start)
    assert together.charge.tolist() == [(start.charge[0] | start.charge[1]).tolist()]
    assert together.energy_kwh[0].tolist() == pytest.approx(start.energy_kwh.sum(axis=0))


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(depots())
def test_a_plan_from_the_last_one_costs_what_a_cold_one_costs(data):
    case = case_from_json(data)
    cold = solve(case)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pricing, "FEWEST_COLUMNS", 0)
        for ago in (0, 1):
            warm = solve(case, last=LastPlan(cold, ago))
            assert verify(case, warm) == []
            assert warm.status == cold.status == "optimal"
            if not warm.shortfalls and not cold.shortfalls:
                assert abs(warm.objective - cold.objective) <= 1e-3 + 2e-4 * abs(cold.objective)
