"""Changing what the last plan was about to do costs a little: no flapping, and the cost is told without it."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charging.planner.case import case_from_json, case_to_json
from charging.planner.classes import classes_of
from charging.planner.plan import plan_from_json, plan_to_json
from charging.planner.reference import solve_reference
from charging.planner.solve import solve
from charging.planner.verify import verify
from tests.charging.planner.cases import depots
from tests.charging.planner.small import CHARGER, VEHICLE, must, small
from tests.charging.planner.test_properties import penalty, worth_of_slack


def bus(price, *net_kw, **changes):
    """Return a bus that may charge 18 kW at 0.10 in two hours, of which the second is a hair cheaper."""
    steady = {"price_per_kw": price, "net_kw": {"bus": list(net_kw)}}
    day = {"prices__import_per_kwh": [0.101, 0.1, 0.3, 0.4], "vehicles__0__targets": [must(4, 0.95)]}
    return small(previous=steady, vehicles__0__max_soc=1.0, vehicles__0__v2g=False, **(day | changes))


def test_a_small_gain_does_not_change_the_next_step():
    case = bus(0.002, 18.0)
    steady, free = solve(case), solve(replace(case, previous=None))
    assert free.vehicles["bus"].charge_kw[:2].tolist() == pytest.approx([0.0, 20.0])
    assert steady.vehicles["bus"].charge_kw[:2].tolist() == pytest.approx([18.0, 2.0])
    assert steady.changed_kw == pytest.approx(0.0, abs=1e-6)
    # The cost is that of the powers alone, and proven: what staying costs is less than the changes would.
    assert steady.objective == pytest.approx(free.objective + 18 * 0.001)
    assert (steady.status, steady.gap) == ("optimal", pytest.approx(0.0, abs=1e-6))
    assert (verify(case, steady), verify(case, replace(steady, changed_kw=1.0))[0].kind) == ([], "changes")
    assert plan_from_json(plan_to_json(steady)).changed_kw == steady.changed_kw


def test_a_large_gain_does():
    case = bus(0.0005, 18.0)
    plan = solve(case)
    assert plan.vehicles["bus"].charge_kw[0] == pytest.approx(0.0)
    assert plan.changed_kw == pytest.approx(18.0)
    assert (verify(case, plan), plan.status) == ([], "optimal")


def test_what_cannot_go_on_is_no_gap():
    case = bus(0.002, 18.0, vehicles__0__away=[{"from_step": 0, "to_step": 1, "energy_kwh": 0}])
    plan = solve(case)
    assert (plan.changed_kw, plan.status) == (pytest.approx(18.0), "optimal")
    assert plan.gap == pytest.approx(0.0, abs=1e-6)


def test_like_vehicles_stay_alike_with_the_same_last_powers():
    buses = [VEHICLE | {"id": f"v{i}", "charger": f"c{i}", "targets": [must(4, 0.8)]} for i in range(4)]
    chargers = [CHARGER | {"id": f"c{i}"} for i in range(4)]
    before = {"price_per_kw": 0.002, "net_kw": {f"v{i}": [5.0] for i in range(4)}}
    case = small(vehicles=buses, chargers=chargers, previous=before)
    classes = classes_of(case)
    assert classes.case.previous.net_kw == {"v0": (20.0,)}
    plan = solve(case)
    assert verify(case, plan) == []
    assert len({round(own.charge_kw[0], 6) for own in plan.vehicles.values()}) == 1
    before["net_kw"] |= {"v0": [6.0], "v1": [7.0]}
    assert classes_of(small(vehicles=buses, chargers=chargers, previous=before)) is None


def test_what_is_wrong_is_told():
    with pytest.raises(ValueError, match=r"previous\.net_kw\.tram"):
        small(previous={"price_per_kw": 0.1, "net_kw": {"tram": [1]}})
    with pytest.raises(ValueError, match=r"up to 4 powers in kW"):
        bus(0.1, 1, 2, 3, 4, 5)


@st.composite
def steady_depots(draw):
    data = draw(depots(6, 2))
    names = [item["id"] for item in (*data["vehicles"], *data["storage"])]
    powers = st.lists(st.sampled_from([-11.0, 0.0, 5.0, 22.0]), max_size=min(2, data["steps"]))
    net = {name: draw(powers) for name in names}
    data["previous"] = {"price_per_kw": draw(st.sampled_from([0.0, 0.01, 0.1])), "net_kw": net}
    return data


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(steady_depots())
def test_cost_and_changes_together_are_as_small_as_the_reference_says(data):
    case = case_from_json(data)
    assert case_to_json(case_from_json(case_to_json(case))) == case_to_json(case)
    plan, reference = solve(case, gap=1e-6), solve_reference(case)
    assert (verify(case, plan), plan.status) == ([], "optimal")
    changes = case.previous.price_per_kw * plan.changed_kw
    total = reference.cost + reference.penalty
    slack = 2e-3 + worth_of_slack(case)
    assert plan.objective + changes + penalty(case, plan) == pytest.approx(total, rel=1e-4, abs=slack)
