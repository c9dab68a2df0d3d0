"""Reading a case: defaults, all problems at once, each with place and cure."""

import json

import numpy as np
import pytest

from charging.planner.case import CaseError, case_from_json, case_to_json
from tests.charging.planner.small import CHARGER, VEHICLE, document, must, trip

NODE = {"id": "f1", "parent": None, "import_limit_kw": 10, "export_limit_kw": None}
DEMAND = {"id": "facility", "price_per_kw": 2}
BATTERY = {
    "id": "battery",
    "node": None,
    "capacity_kwh": 10,
    "initial_soc": 0.5,
    "max_charge_kw": 5,
    "max_discharge_kw": 5,
    "charge_efficiency": 1,
    "discharge_efficiency": 1,
}


def problems_of(data):
    with pytest.raises(CaseError) as caught:
        case_from_json(data, "FILE.json")
    return caught.value.problems


def test_defaults_and_constant_series():
    data = document(demand_charges=[DEMAND], vehicles__0__min_soc=0.2, storage=[BATTERY])
    del data["vehicles"][0]["max_soc"]
    case = case_from_json(data)
    assert case.site.building_load_kw.tolist() == [10.0] * 4
    assert case.site.solar_curtailable is True
    assert case.demand_charges[0].metering_minutes == 60
    assert case.demand_charges[0].window.all()
    assert case.demand_charges[0].billed_kw_so_far.tolist() == [0.0]
    vehicle = case.vehicles[0]
    assert (vehicle.max_soc, vehicle.v2g_min_soc, vehicle.max_charge_kw) == (1.0, 0.2, None)
    assert (case.storage[0].min_soc, case.storage[0].max_soc, case.storage[0].final_soc) == (0.0, 1.0, 0.0)
    assert case.moment(2).isoformat() == "2026-03-10T14:00:00-05:00"


def test_an_optional_field_that_is_null_counts_as_absent():
    plain = document(demand_charges=[DEMAND], storage=[BATTERY])
    for key in ("v2g_min_soc", "wear_cost_per_kwh", "v2g"):
        plain["vehicles"][0].pop(key, None)
    absent = case_to_json(case_from_json(plain))
    empty = dict.fromkeys(("window", "period", "billed_kw_so_far"))
    data = document(
        demand_charges=[DEMAND | empty],
        storage=[BATTERY | {"final_soc": None, "wear_cost_per_kwh": None}],
        vehicles__0__v2g_min_soc=None,
        vehicles__0__wear_cost_per_kwh=None,
        vehicles__0__v2g=None,
        site__solar_curtailable=None,
    )
    assert case_to_json(case_from_json(data)) == absent


def test_a_number_that_no_float_holds_is_named():
    problems = problems_of(document(vehicles__0__capacity_kwh=10**400))
    assert len(problems) == 1 and "vehicles[0].capacity_kwh: 1" in problems[0]


def test_no_limit_is_infinity_and_survives_json():
    data = document(site__nodes=[NODE, {"id": "f2", "parent": "f1", "import_limit_kw": [1, None, 2, 3]}])
    case = case_from_json(data)
    assert np.isinf(case.site.nodes[0].export_limit_kw).all()
    assert case.site.nodes[1].import_limit_kw.tolist() == [1.0, np.inf, 2.0, 3.0]
    written = json.loads(json.dumps(case_to_json(case)))
    assert case_to_json(case_from_json(written)) == written


@pytest.mark.parametrize(
    ("period", "billed", "indices", "expected"),
    [
        ([0, 0, 1, 1], [5, 6], [0, 0, 1, 1], [5, 6]),
        ([1, 1, 1, 1], [5, 6], [1, 1, 1, 1], [5, 6]),
        ([202603, 202603, 202604, 202604], [5, 6], [0, 0, 1, 1], [5, 6]),
        ([3, 3, 7, 7], 4, [0, 0, 1, 1], [4, 4]),
    ],
)
def test_billing_periods(period, billed, indices, expected):
    data = document(demand_charges=[{**DEMAND, "period": period, "billed_kw_so_far": billed}])
    charge = case_from_json(data).demand_charges[0]
    assert charge.period.tolist() == indices
    assert charge.billed_kw_so_far.tolist() == expected


def test_all_problems_are_told_at_once():
    data = document(
        vehicles=[{**VEHICLE, "targets": [must(120, 0.8)], "colour": "red"}], site__solar_kw=[1, 2]
    )
    del data["start"]
    assert problems_of(data) == [
        "FILE.json: site.solar_kw: has 2 values; give 4 (one a step) or one number",
        "FILE.json: vehicles[0].colour: is not a known field; remove it or use one of id, capacity_kwh, "
        "initial_soc, min_soc, max_soc, charger, v2g, v2g_min_soc, wear_cost_per_kwh, max_charge_kw, "
        "max_discharge_kw, away, targets, wear_bands, throughput, standing, taper, overrides, "
        "chargers, plugged_into, unplugged",
        "FILE.json: start: is missing; add it",
        "FILE.json: vehicles[0].targets[0].boundary: 120 is outside 0..4; use a whole number inside it",
    ]


BAD_VALUES = [
    ("wear_bands", [{"below_soc": 0.5, "cost_per_kwh": 1}], "let the last below_soc be 1 or more"),
    (
        "wear_bands",
        [{"below_soc": 0.5, "cost_per_kwh": 1}, {"below_soc": 1, "cost_per_kwh": 2}],
        "a wear price that rises with SoC is refused",
    ),
    ("throughput", [{"up_to_kwh": 5, "price_per_kwh": 1}], "write null as the last up_to_kwh"),
    (
        "throughput",
        [{"up_to_kwh": 5, "price_per_kwh": 1}, {"up_to_kwh": None, "price_per_kwh": 0}],
        "a price that falls with use is not convex and is refused",
    ),
    (
        "taper",
        [{"soc": 0.5, "max_charge_kw": 1}, {"soc": 1, "max_charge_kw": 2}],
        "a power that rises with SoC is refused",
    ),
    (
        "taper",
        [
            {"soc": 0.5, "max_charge_kw": 9},
            {"soc": 0.6, "max_charge_kw": 5},
            {"soc": 1, "max_charge_kw": 4},
        ],
        "is not concave and is refused",
    ),
    ("taper", [{"soc": 0.5, "max_charge_kw": 9}] * 2, "soc does not rise from one to the next"),
    ("standing", {"above_soc": 2, "cost_per_kwh_h": 1}, "standing.above_soc: 2 is outside 0..1"),
]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"version": 2}, "version: 2 is not supported; use 1"),
        ({"steps": 0}, "steps: 0 is outside 1 and more"),
        ({"step_minutes": 7.5}, "step_minutes: 7.5 is not a whole number"),
        ({"start": "2026-03-10T12:00:00"}, "start: '2026-03-10T12:00:00' is not a moment with an offset"),
        ({"start": 5}, "start: 5 is not a moment"),
        ({"name": ["x"]}, "name: ['x'] is not a name"),
        ({"prices": 3}, "prices: a number stands where an object should"),
        ({"chargers": {}}, "chargers: an object stands where a list should"),
        ({"prices__import_per_kwh": [1, 2, "x", 4]}, "prices.import_per_kwh[2]: 'x' is not allowed"),
        ({"prices__import_per_kwh": [1, 2, float("nan"), 4]}, "prices.import_per_kwh[2]: nan is not allowed"),
        ({"prices__import_per_kwh": True}, "prices.import_per_kwh: True is not a number"),
        ({"site__import_limit_kw": -1}, "site.import_limit_kw: -1 is outside 0..inf"),
        ({"site__solar_curtailable": "yes"}, "site.solar_curtailable: 'yes' is neither true nor false"),
        (
            {"site__nodes": [{**NODE, "import_limit_kw": [1, 2]}]},
            "site.nodes[0].import_limit_kw: has 2 values",
        ),
        ({"site__nodes": [{**NODE, "parent": "gone"}]}, "site.nodes[0].parent: no node is called 'gone'"),
        ({"site__nodes": [{**NODE, "parent": "f1"}]}, "'f1' leads back to itself"),
        ({"site__nodes": [NODE, NODE]}, "site.nodes: id 'f1' stands 2 times"),
        (
            {"demand_charges": [{**DEMAND, "window": [0, 1, 2, 1]}]},
            "demand_charges[0].window: holds something",
        ),
        (
            {"demand_charges": [{**DEMAND, "period": [0, 0.5, 1, 1]}]},
            "demand_charges[0].period: holds numbers",
        ),
        (
            {"demand_charges": [{**DEMAND, "period": [0, 1, 2, 3], "billed_kw_so_far": [1, 2]}]},
            "demand_charges[0].billed_kw_so_far: has 2 values for 4 periods",
        ),
        ({"demand_charges": [{**DEMAND, "metering_minutes": 90}]}, "metering_minutes: 90 is no multiple"),
        ({"chargers__0__node": "gone"}, "chargers[0].node: no node is called 'gone'"),
        ({"chargers__0__charge_efficiency": 0}, "chargers[0].charge_efficiency: is 0; use a number above 0"),
        (
            {"chargers__0__charge_efficiency": 1.2},
            "charge_efficiency: 1.2 is outside 0..1; use a number from 0",
        ),
        ({"chargers__0__min_charge_kw": -6}, "chargers[0].min_charge_kw:"),
        ({"vehicles__0__chargers": ["nowhere"]}, "vehicles[0].chargers: is no list of the chargers' ids"),
        ({"vehicles__0__plugged_into": "nowhere"}, "plugged_into: no charger is called 'nowhere'"),
        ({"vehicles__0__charger": "c9"}, "vehicles[0].charger: no charger is called 'c9'"),
        (
            {"vehicles__0__initial_soc": "x"},
            "vehicles[0].initial_soc: 'x' is not a number; use a number from 0 to 1",
        ),
        ({"vehicles__0__wear_cost_per_kwh": -1}, "wear_cost_per_kwh: -1 is outside 0..inf"),
        ({"vehicles__0__min_soc": 0.95}, "vehicles[0].min_soc: 0.95 is above max_soc 0.9"),
        ({"vehicles__0__away": [trip(2, 2, 1)]}, "away[0].to_step: 2 is not after from_step 2"),
        ({"vehicles__0__away": [trip(0, 2, 1), trip(1, 3, 1)]}, "away[1].from_step: overlaps another trip"),
        ({"vehicles__0__targets": [{"boundary": 1, "soc": 1, "tier": "may"}]}, "tier: 'may' is not known"),
        ({"vehicles__0__targets": [{"boundary": 1, "soc": 1}]}, "targets[0].tier: is missing"),
        (
            {"vehicles__0__targets": [{"boundary": 1, "soc": 1, "tier": "should"}]},
            "price_per_kwh: is missing",
        ),
        ({"vehicles": [VEHICLE, VEHICLE]}, "vehicles and storage: id 'bus' stands 2 times"),
        ({"chargers": [CHARGER, CHARGER]}, "chargers: id 'c1' stands 2 times"),
        (
            {"demand_charges": [{**DEMAND, "tiers": [{"from_kw": 0, "price_per_kw": 5}]}]},
            "demand_charges[0].tiers: stand beside price_per_kw",
        ),
        *(({f"vehicles__0__{key}": value}, sentence) for key, value, sentence in BAD_VALUES),
        ({"vehicles": [5]}, "vehicles[0]: a number stands where an object should"),
    ],
)
def test_each_problem_names_place_and_cure(changes, sentence):
    problems = problems_of(document(**changes))
    assert any(sentence in problem for problem in problems)
    assert all(problem.startswith("FILE.json: ") and "; " in problem for problem in problems)


@pytest.mark.parametrize(
    "key", ["site", "prices", "chargers", "vehicles", "version", "steps", "step_minutes"]
)
def test_a_missing_part_is_named(key):
    data = document()
    del data[key]
    assert f"FILE.json: {key}: is missing; add it" in problems_of(data)


def test_empty_parts_of_later_kinds_are_accepted():
    case = case_from_json(document(flexible_loads=[], events=None, reserve={}, demand_charges=None))
    assert case.demand_charges == ()


def test_a_case_must_be_an_object():
    assert problems_of([]) == ["FILE.json: the case: a list stands where an object should; write {...}"]
