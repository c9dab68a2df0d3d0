"""A plan leaves a way through a bad day: what it does first, what it names, and beside the reference model."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charging.planner.case import case_from_json, case_to_json
from charging.planner.plan import plan_from_json, plan_to_json
from charging.planner.reference import solve_reference
from charging.planner.settle import MISSING_KWH
from charging.planner.solve import fallback, solve
from charging.planner.verify import verify
from tests.charging.planner.cases import depots, series
from tests.charging.planner.small import must, small, trip
from tests.charging.planner.test_properties import penalty, worth_of_slack

LATE = trip(1, 2, 8) | {"late_steps": 1, "extra_kwh": 4}


def late_bus(**changes):
    """Return a bus that waits for the cheap hours after its trip, and that a bad day would leave too few of."""
    day = {"vehicles__0__away": [LATE], "vehicles__0__targets": [must(4, 0.8)], "vehicles__0__v2g": False}
    return small(**(day | {"bad_day": {}} | changes))


@st.composite
def bad_depots(draw, most_steps=7, most_vehicles=2):
    data = draw(depots(most_steps, most_vehicles))
    steps = data["steps"]
    for vehicle in data["vehicles"]:
        for away in vehicle["away"]:
            away["late_steps"] = draw(st.integers(0, 3))
            away["extra_kwh"] = draw(st.sampled_from([0.0, 3.0, 10.0]))
    data["bad_day"] = {"replan_steps": draw(st.integers(1, min(2, steps)))}
    if draw(st.booleans()):
        data["bad_day"]["building_load_kw"] = draw(series(steps, st.sampled_from([0.0, 20.0, 50.0])))
        data["bad_day"]["solar_kw"] = draw(series(steps, st.sampled_from([0.0, 10.0])))
    return data


def test_a_plan_charges_now_what_a_bad_day_would_leave_no_time_for():
    case = late_bus()
    expected, safe = solve(replace(case, bad_day=None)), solve(case)
    assert expected.vehicles["bus"].charge_kw[0] == pytest.approx(2 / 0.9)
    # On the bad day it comes back with 20 - 12 kWh and has one hour: 18 of the 24 kWh. The other 6 are charged now.
    assert safe.vehicles["bus"].charge_kw[0] == pytest.approx(6 / 0.9, abs=1e-4)
    assert safe.bad_day.devices["bus"].charge_kw[3] == pytest.approx(20.0)
    assert safe.bad_day.devices["bus"].soc[4] == pytest.approx(0.8)
    assert safe.bad_day.shortfalls == ()
    assert safe.status == "optimal"
    assert safe.objective > expected.objective
    assert verify(case, safe) == []


def test_what_a_later_trips_bad_day_needs_is_charged_in_time_and_not_at_once():
    case = late_bus(
        vehicles__0__away=[LATE | {"from_step": 2, "to_step": 3}],
        vehicles__0__targets=[must(4, 0.55)],
        demand_charges=[{"id": "d", "price_per_kw": 10.0, "billed_kw_so_far": 10.0}],
    )
    plan = solve(case)
    # On the bad day it is back too late to charge: it leaves with 22 + 12 kWh, and the peak is as low as can be.
    assert plan.vehicles["bus"].soc[2] == pytest.approx(34 / 40, abs=1e-5)
    assert plan.vehicles["bus"].charge_kw[:2].tolist() == pytest.approx([7 / 0.9, 7 / 0.9], abs=1e-3)
    assert verify(case, plan) == []
    reference = solve_reference(case)
    assert plan.objective == pytest.approx(reference.cost, rel=1e-5)
    assert reference.unprepared_kwh == pytest.approx(0.0, abs=1e-4)


def test_a_vehicle_is_as_ready_for_a_bad_day_as_the_site_lets_it_be():
    case = late_bus(
        vehicles__0__away=[LATE | {"from_step": 2, "to_step": 3}],
        vehicles__0__targets=[must(4, 0.55)],
        site__import_limit_kw=[12, 12, 100, 100],
    )
    plan = solve(case)
    assert (plan.shortfalls, plan.status) == ((), "optimal")
    # 2 kW are left beside the building for two hours: as much as that gives.
    assert plan.vehicles["bus"].soc[2] == pytest.approx((20 + 4 * 0.9) / 40, abs=1e-4)
    assert verify(case, plan) == []
    reference = solve_reference(case)
    assert plan.objective == pytest.approx(reference.cost, rel=1e-5)
    assert reference.unprepared_kwh == pytest.approx(34 - 23.6, abs=1e-3)


def test_what_no_beginning_could_save_is_named_and_no_shortfall():
    case = late_bus(vehicles__0__away=[LATE | {"late_steps": 2}])
    plan = solve(case)
    assert plan.shortfalls == ()
    (missed,) = plan.bad_day.shortfalls
    assert (missed.vehicle, missed.boundary, missed.cause) == ("bus", 4, "away")
    assert verify(case, plan) == []


def test_a_way_that_would_do_anyhow_changes_nothing():
    case = late_bus(vehicles__0__targets=[must(4, 0.5)])
    plan, expected = solve(case), solve(replace(case, bad_day=None))
    assert plan.objective == pytest.approx(expected.objective)
    assert plan.bad_day.shortfalls == ()


def test_less_power_at_the_site_counts():
    case = late_bus(
        vehicles__0__away=[],
        bad_day={"building_load_kw": [10, 95, 95, 95]},
        vehicles__0__targets=[must(4, 0.9)],
    )
    plan = solve(case)
    # 16 kWh take 17.8 kW: 5 kW are left in each of the last three hours.
    assert plan.vehicles["bus"].charge_kw[0] == pytest.approx(16 / 0.9 - 15, abs=1e-4)
    assert verify(case, plan) == []


def test_the_check_sees_a_way_that_is_none():
    case = late_bus()
    plan = solve(case)
    own = plan.bad_day.devices["bus"]

    def with_way(**changes):
        way = replace(plan.bad_day, devices={"bus": replace(own, **changes)})
        return {item.kind for item in verify(case, replace(plan, bad_day=way))}

    assert verify(case, replace(plan, bad_day=None))[0].kind == "bad_day"
    assert with_way(charge_kw=own.charge_kw + np.array([5.0, 0, 0, 0])) == {"bad_day"}
    assert with_way(charge_kw=own.charge_kw + np.array([0, 0, 5.0, 0])) == {"bad_day"}
    assert with_way(charge_kw=own.charge_kw - np.array([0, 0, 0, 5.0])) == {"bad_day"}
    assert with_way(soc=own.soc + 0.1) == {"bad_day"}


def test_a_plan_by_rules_names_its_way_too():
    case = late_bus()
    plan = fallback(case)
    assert verify(case, plan) == []
    assert [item.missing_kwh for item in plan.bad_day.shortfalls] == [pytest.approx(6.0)]
    again = plan_to_json(plan_from_json(plan_to_json(plan)))
    assert again == plan_to_json(plan)
    assert case_to_json(case_from_json(case_to_json(case))) == case_to_json(case)


def test_what_is_wrong_in_a_bad_day_is_told():
    with pytest.raises(ValueError, match=r"bad_day\.replan_steps"):
        late_bus(bad_day={"replan_steps": 0})
    with pytest.raises(ValueError, match=r"bad_day\.solar_kw"):
        late_bus(bad_day={"solar_kw": [1, 2]})


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(bad_depots())
def test_a_plan_is_as_safe_and_as_cheap_as_the_reference_says(data):
    case = case_from_json(data)
    plan, reference = solve(case, gap=1e-6), solve_reference(case)
    assert verify(case, plan) == []
    missed = sum(item.missing_kwh for item in plan.bad_day.shortfalls)
    assert missed == pytest.approx(reference.bad_day_missing_kwh, abs=1e-3 + 10 * MISSING_KWH)
    total = reference.cost + reference.penalty
    slack = 5e-3 + worth_of_slack(case)
    assert plan.objective + penalty(case, plan) == pytest.approx(total, rel=1e-4, abs=slack)


def test_a_vehicle_without_its_own_charger_has_a_way_too():
    case = late_bus(vehicles__0__charger=None)
    plan = solve(case)
    assert (verify(case, plan), plan.bad_day.shortfalls) == ([], ())
    assert plan.objective == pytest.approx(solve(late_bus()).objective)
