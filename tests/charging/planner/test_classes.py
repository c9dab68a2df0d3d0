"""Like vehicles planned as one: exact before and after the solve, and only where they are alike."""

import copy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from charging.planner import solve as front
from charging.planner.case import case_from_json, case_to_json
from charging.planner.classes import classes_of
from charging.planner.settle import Decision
from charging.planner.solve import solve
from charging.planner.verify import verify
from tests.charging.planner.cases import returning_depots
from tests.charging.planner.small import CHARGER, VEHICLE, must, small, trip


def fleet(count, **changes):
    """Like buses on chargers of their own, one of them with changes."""
    bus = VEHICLE | {"away": [trip(2, 3, 8)], "targets": [must(2, 0.6)], "max_charge_kw": 15}
    buses = [bus | {"id": f"v{i}", "charger": f"c{i}"} for i in range(count)]
    buses[-1] |= changes
    return small(chargers=[CHARGER | {"id": f"c{i}"} for i in range(count)], vehicles=buses)


def test_like_vehicles_become_one_as_large_as_all():
    classes = classes_of(fleet(3))
    (bus,), (charger,) = classes.case.vehicles, classes.case.chargers
    assert classes.sizes.tolist() == [3]
    assert (bus.capacity_kwh, bus.initial_soc, bus.max_charge_kw, bus.max_discharge_kw) == (
        120,
        0.5,
        45,
        None,
    )
    assert (bus.away[0].energy_kwh, bus.targets[0].soc) == (24, 0.6)
    assert (charger.id, charger.max_charge_kw, charger.max_discharge_kw) == (bus.charger, 60, 60)


@pytest.mark.parametrize(
    "changes",
    [{"initial_soc": 0.4}, {"v2g": False}, {"targets": []}, {"charger": "c0"}, {"max_charge_kw": 9}],
)
def test_a_vehicle_that_differs_is_left_alone(changes):
    classes = classes_of(fleet(6, **changes))
    alone = 2 if "charger" in changes else 1
    assert sorted(classes.sizes.tolist()) == [1] * alone + [6 - alone]


def test_with_few_alike_there_are_no_classes():
    assert classes_of(fleet(3, initial_soc=0.4)) is None
    assert classes_of(small(vehicles=[], chargers=[])) is None


def test_each_vehicle_gets_an_equal_part_and_a_battery_its_own():
    battery = {"id": "b", "node": None, "capacity_kwh": 10, "initial_soc": 0.5, "max_charge_kw": 5}
    battery |= {"max_discharge_kw": 5, "charge_efficiency": 1, "discharge_efficiency": 1}
    case = case_from_json(_twice(case_to_json(fleet(2))) | {"storage": [battery]})
    classes = classes_of(case)
    decision = Decision(np.array([[8.0], [3.0]]), np.array([[0.0], [1.0]]), np.zeros(1))
    split = classes.split(decision)
    assert split.charge_kw.tolist() == [[2.0]] * 4 + [[3.0]]
    assert split.discharge_kw.tolist() == [[0.0]] * 4 + [[1.0]]


def _twice(data):
    """Return a depot with every vehicle and its charger twice."""
    data = copy.deepcopy(data)
    for key in ("chargers", "vehicles"):
        data[key] += [item | {"id": f"{item['id']}-twin"} for item in data[key]]
    for vehicle in data["vehicles"]:
        if vehicle["id"].endswith("-twin"):
            vehicle["charger"] += "-twin"
    return data


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(returning_depots())
def test_classes_cost_what_the_single_vehicles_cost(data):
    case = case_from_json(_twice(data))
    assert classes_of(case) is not None
    plan = solve(case)
    assert verify(case, plan) == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(front, "classes_of", lambda case: None)
        single = solve(case)
    slack = 2e-4 * (abs(single.objective) + abs(plan.objective)) + 1e-3
    assert _with_penalty(case, plan) <= _with_penalty(case, single) + slack
    assert plan.status == single.status == "optimal"
    assert plan.bound - plan.objective + _with_penalty(case, plan) <= _with_penalty(case, single) + 1e-3


def _with_penalty(case, plan):
    """Return the cost and the price of what is missing at "should" targets."""
    prices = {(bus.id, item.boundary): item.price_per_kwh for bus in case.vehicles for item in bus.targets}
    missing = sum(prices[item.vehicle, item.boundary] * item.missing_kwh for item in plan.shortfalls)
    return plan.objective + missing
