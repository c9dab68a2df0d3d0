"""Over random depots: no limit broken, no shortfall unnamed, cost recomputed, bound proven, cost least."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from charging.planner.baseline import unmanaged
from charging.planner.case import DepotCase, case_from_json, case_to_json
from charging.planner.devices import problem_of
from charging.planner.plan import DepotPlan
from charging.planner.reference import solve_reference
from charging.planner.settle import MISSING_KWH
from charging.planner.solve import fallback, solve
from charging.planner.verify import verify
from tests.charging.planner.cases import depots, returning_depots

many = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
some = settings(
    max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def penalty(case: DepotCase, plan: DepotPlan) -> float:
    """Return the price of the missed "should" targets, from the plan's SoC alone."""
    return sum(
        target.price_per_kwh
        * max(0.0, target.soc - plan.vehicles[vehicle.id].soc[target.boundary])
        * vehicle.capacity_kwh
        for vehicle in case.vehicles
        for target in vehicle.targets
        if target.tier == "should"
    )


@many
@given(depots())
def test_every_plan_is_sound(data):
    case = case_from_json(data)
    plan = solve(case)
    assert verify(case, plan) == []
    assert plan.status == "optimal"
    assert plan.bound <= plan.objective
    for vehicle in case.vehicles:
        spans = plan.explanations[vehicle.id]
        assert [span.from_step for span in spans[1:]] == [span.to_step for span in spans[:-1]]
        assert (spans[0].from_step, spans[-1].to_step) == (0, case.steps)


@many
@given(depots())
def test_the_fallback_is_sound_without_a_solver(data):
    case = case_from_json(data)
    plan = fallback(case)
    assert verify(case, plan) == []
    assert plan.status == "fallback"
    assert all((vehicle.discharge_kw == 0.0).all() for vehicle in plan.vehicles.values())


@many
@given(depots())
def test_cases_survive_json(data):
    written = case_to_json(case_from_json(data))
    assert case_to_json(case_from_json(written)) == written


@many
@given(depots())
def test_the_unmanaged_plan_keeps_every_vehicle_as_full_as_can_be(data):
    case = case_from_json(data)
    plan, best = unmanaged(case), solve(case, tidy=False)
    for vehicle in case.vehicles:
        assert (plan.vehicles[vehicle.id].soc >= best.vehicles[vehicle.id].soc - 1e-6).all()


@some
@given(depots(most_steps=7, most_vehicles=2))
def test_the_cost_is_that_of_the_reference_model(data):
    same_as_the_reference(case_from_json(data), share=1e-4)


@some
@given(returning_depots())
def test_vehicles_that_return_around_their_floor_cost_what_the_reference_says(data):
    same_as_the_reference(case_from_json(data), share=1e-5)


def unheeded(case: DepotCase, plan: DepotPlan) -> float:
    """Return what orders to charge now miss, in kWh times hours."""
    problem = problem_of(case)
    held = [plan.vehicles[vehicle.id].soc * vehicle.capacity_kwh for vehicle in case.vehicles]
    ordered = problem.devices.ordered_kwh[: len(held)]
    return case.hours * sum(
        float(np.maximum(0.0, row - own).sum()) for row, own in zip(ordered, held, strict=True)
    )


def same_as_the_reference(case: DepotCase, share: float) -> None:
    """Check soundness, the levels above money, and the cost plus missed targets, against the PuLP model."""
    plan, reference = solve(case, gap=1e-6), solve_reference(case)
    assert (verify(case, plan), plan.status) == ([], "optimal")
    must = sum(item.missing_kwh for item in plan.shortfalls if item.tier == "must")
    beyond = np.maximum(plan.site.import_kw - case.site.import_limit_kw, 0.0)
    beyond += np.maximum(plan.site.export_kw - case.site.export_limit_kw, 0.0)
    excess = case.hours * float(beyond.sum())
    assert excess == pytest.approx(reference.site_excess_kwh, abs=1e-3)
    assert must == pytest.approx(reference.must_missing_kwh, abs=1e-3 + 10 * MISSING_KWH)
    assert unheeded(case, plan) == pytest.approx(reference.unheeded_kwh, abs=2e-3)
    total = reference.cost + reference.penalty
    slack = 2e-3 + worth_of_slack(case)
    assert plan.objective + penalty(case, plan) == pytest.approx(total, rel=share, abs=slack)


def worth_of_slack(case: DepotCase) -> float:
    """Return what the slack with which a level above money is held is worth in demand charges.

    It is 0.0001 kWh times hours: a power of 0.0001 / hours / hours / efficiency in one step.
    """
    prices = [
        max([item.price_per_kw, *(tier.price_per_kw for tier in item.tiers)]) for item in case.demand_charges
    ]
    return 1e-4 / case.hours**2 / 0.8 * sum(prices)
