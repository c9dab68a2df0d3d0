"""What a person orders is done, inside every limit, and what it costs is said."""

from dataclasses import replace

import numpy as np
import pytest

from charging.planner.case import CaseError, case_from_json, case_to_json
from charging.planner.plan import ExceededLimit, plan_from_json, plan_to_json
from charging.planner.reference import solve_reference
from charging.planner.solve import fallback, solve
from charging.planner.verify import verify
from charging.planner.whatif import change_between
from tests.charging.planner.small import CHARGER, VEHICLE, document, must, should, small, trip

NOW_TO_80 = {"kind": "charge_now", "from_step": 0, "to_step": 3, "soc": 0.8}


def ordered(*overrides, **changes):
    return small(vehicles__0__overrides=list(overrides), **changes)


def sound(case):
    plan = solve(case)
    assert verify(case, plan) == []
    assert verify(case, fallback(case)) == []
    return plan


def test_charge_now_charges_at_full_power_in_the_dearest_step_and_keeps_what_it_got():
    plan = sound(ordered(NOW_TO_80, prices__import_per_kwh=[0.9, 0.1, 0.1, 0.4]))
    bus = plan.vehicles["bus"]
    assert bus.charge_kw[0] == pytest.approx(12 / 0.9)
    assert (bus.soc[1:4] >= 0.8 - 1e-6).all()
    assert plan.exceeded_limits == ()


def test_charge_now_takes_what_a_limit_leaves_and_names_the_limit():
    case = ordered(NOW_TO_80, site__import_limit_kw=15)
    plan = sound(case)
    assert plan.vehicles["bus"].charge_kw[:2] == pytest.approx([5, 5], abs=1e-3)
    (item,) = plan.exceeded_limits
    assert (item.kind, item.place, item.from_step, item.to_step) == ("charge_now", "bus", 1, 3)
    assert (item.worst, item.cause) == (pytest.approx(7.5, abs=1e-3), "site limit")


def test_charge_now_stands_back_for_the_departure_of_another_vehicle():
    other = {**VEHICLE, "id": "other", "charger": "c2", "away": [trip(1, 4, 1)], "targets": [must(1, 0.6)]}
    case = small(
        site__import_limit_kw=15,
        chargers=[CHARGER, {**CHARGER, "id": "c2"}],
        vehicles=[{**VEHICLE, "overrides": [NOW_TO_80]}, other],
    )
    plan = sound(case)
    assert plan.shortfalls == ()
    assert plan.vehicles["other"].charge_kw[0] == pytest.approx(4 / 0.9, abs=1e-3)
    assert plan.exceeded_limits[0].kind == "charge_now"


def test_an_order_to_charge_that_begins_later_counts_what_was_charged_before():
    plan = sound(
        ordered({**NOW_TO_80, "from_step": 2, "to_step": 4}, prices__import_per_kwh=[0.1, 0.1, 0.9, 0.4])
    )
    assert plan.vehicles["bus"].charge_kw[2] == pytest.approx(0.0, abs=1e-6)
    assert plan.vehicles["bus"].soc[3] == pytest.approx(0.8)


def test_an_order_to_charge_goes_on_after_a_trip_until_it_is_fulfilled():
    order = {**NOW_TO_80, "to_step": 6, "soc": 0.9}
    away = [trip(1, 2, 10)]
    slow = {"steps": 6, "prices__import_per_kwh": 0.2, "chargers__0__max_charge_kw": 10}
    case = ordered(order, vehicles__0__away=away, **slow)
    plan = sound(case)
    assert plan.vehicles["bus"].charge_kw[[0, 2, 3]] == pytest.approx([10, 10, 8 / 0.9], abs=1e-3)
    assert plan.vehicles["bus"].soc[6] == pytest.approx(0.9)
    once = sound(ordered({**order, "soc": 0.6}, vehicles__0__away=away, **slow))
    assert once.vehicles["bus"].charge_kw[2:].sum() == pytest.approx(0.0, abs=1e-6)


def test_hold_neither_charges_nor_discharges_and_a_target_missed_for_it_says_so():
    case = ordered({"kind": "hold", "from_step": 0, "to_step": 4}, vehicles__0__targets=[must(4, 0.8)])
    plan = sound(case)
    bus = plan.vehicles["bus"]
    assert not bus.charge_kw.any() and not bus.discharge_kw.any()
    assert not fallback(case).vehicles["bus"].charge_kw.any()
    assert [item.cause for item in plan.shortfalls] == ["a person's order"]
    shared = ordered(
        {"kind": "hold", "from_step": 1, "to_step": 3},
        vehicles__0__targets=[must(4, 0.8)],
        site__import_limit_kw=15,
    )
    assert [item.cause for item in sound(shared).shortfalls] == ["site limit and a person's order"]
    too_far = ordered(
        {"kind": "limit", "from_step": 0, "to_step": 1, "max_kw": 5}, vehicles__0__targets=[must(1, 1)]
    )
    assert [item.cause for item in sound(too_far).shortfalls] == ["maximum SoC"]


def test_no_discharge_and_a_limit_hold_in_their_steps_alone():
    dear_end = {"prices__import_per_kwh": [0.5, 0.1, 0.1, 0.5]}
    assert sound(ordered(**dear_end)).vehicles["bus"].discharge_kw[0] > 5
    kept = sound(ordered({"kind": "no_discharge", "from_step": 0, "to_step": 1}, **dear_end))
    assert kept.vehicles["bus"].discharge_kw[0] == 0.0
    assert kept.vehicles["bus"].discharge_kw[3] > 5
    limited = sound(ordered({"kind": "limit", "from_step": 0, "to_step": 3, "max_kw": 3}, **dear_end))
    bus = limited.vehicles["bus"]
    assert np.maximum(bus.charge_kw, bus.discharge_kw)[:3].max() == pytest.approx(3.0)
    assert bus.discharge_kw[3] > 3


def test_where_orders_overlap_the_strictest_limit_counts():
    plan = sound(ordered(NOW_TO_80, {"kind": "hold", "from_step": 0, "to_step": 1}))
    assert plan.vehicles["bus"].charge_kw[:2] == pytest.approx([0, 12 / 0.9])
    assert plan.exceeded_limits == ()


@pytest.mark.parametrize("limit_kw", [100, 22, 14])
def test_the_reference_model_obeys_the_same_orders_at_the_same_cost(limit_kw):
    case = ordered(
        NOW_TO_80,
        {"kind": "no_discharge", "from_step": 3, "to_step": 4},
        {"kind": "limit", "from_step": 0, "to_step": 2, "max_kw": 8},
        site__import_limit_kw=limit_kw,
    )
    plan, reference = sound(case), solve_reference(case)
    assert plan.objective == pytest.approx(reference.cost, abs=1e-3)
    assert (reference.unheeded_kwh > 0) == (plan.exceeded_limits != ())


def test_explanations_say_that_a_person_ordered_it():
    spans = sound(ordered(NOW_TO_80)).explanations["bus"]
    assert "a person ordered it to charge now to 80 %" in spans[0].because
    spans = sound(ordered({"kind": "hold", "from_step": 0, "to_step": 2})).explanations["bus"]
    assert "a person ordered it to hold until 14:00" in spans[0].because
    spans = sound(ordered({"kind": "no_discharge", "from_step": 0, "to_step": 2})).explanations["bus"]
    assert "a person ordered that it is not discharged until 14:00" in spans[0].because
    spans = sound(ordered({"kind": "limit", "from_step": 0, "to_step": 2, "max_kw": 3})).explanations["bus"]
    assert "a person ordered at most 3 kW until 14:00" in spans[0].because


def test_verify_finds_each_broken_order():
    free = small()
    plan = solve(free)
    assert plan.vehicles["bus"].discharge_kw.max() > 3
    for order, words in (
        ({"kind": "hold"}, "ordered it to hold"),
        ({"kind": "no_discharge"}, "a person forbade it"),
        ({"kind": "limit", "max_kw": 3}, "above the 3 kW"),
        ({"kind": "charge_now"}, "an order to charge now, unnamed"),
    ):
        faults = verify(ordered({**order, "from_step": 0, "to_step": 4}), plan)
        assert any(words in item.sentence for item in faults), order
    case = ordered(NOW_TO_80)
    named = ExceededLimit("charge_now", "bus", 1, 4, 0.5, "kWh", "site limit")
    faults = verify(case, replace(plan, exceeded_limits=(named,)))
    assert any("wrong amount" in item.sentence for item in faults)


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ({"kind": "stop"}, "'stop' is not known; use one of charge_now, hold, no_discharge, limit"),
        ({"kind": "hold", "to_step": 0}, "to_step: 0 is outside 1..4"),
        ({"kind": "hold", "from_step": 2, "to_step": 2}, "2 is not after from_step 2; use a later step"),
        ({"kind": "limit"}, "max_kw: is missing; add it"),
        ({"kind": "hold", "max_kw": 3}, "max_kw: belongs to the kind limit; remove it"),
        ({"kind": "hold", "soc": 0.5}, "soc: belongs to the kind charge_now; remove it"),
        ({"kind": "charge_now", "soc": 0.95}, "soc: 0.95 is above the vehicle's max_soc 0.9; lower it"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_by_name(order, sentence):
    with pytest.raises(CaseError) as error:
        ordered({"from_step": 0, "to_step": 4} | order)
    assert any("vehicles[0].overrides[0]" in item and sentence in item for item in error.value.problems)


def test_orders_and_what_if_survive_json():
    data = document(vehicles__0__overrides=[NOW_TO_80])
    assert case_from_json(case_to_json(case_from_json(data))).vehicles[0].overrides[0].soc == 0.8
    plan = solve(ordered(NOW_TO_80, vehicles__0__targets=[should(4, 0.9, 0.01)]))
    assert plan_from_json(plan_to_json(plan)).what_if == plan.what_if


def test_a_vehicle_that_is_held_counts_for_no_backup():
    backup = {"backup_kwh": [1.0, 0.0, 0.0, 0.0]}
    assert sound(small(reserve=backup)).exceeded_limits == ()
    held = ordered({"kind": "hold", "from_step": 0, "to_step": 1}, reserve=backup)
    plan = sound(held)
    assert [(item.kind, item.worst) for item in plan.exceeded_limits] == [("backup", pytest.approx(1.0))]
    assert [item.kind for item in verify(held, replace(plan, exceeded_limits=()))] == ["backup"]


# --- what if


def test_the_cost_of_an_order_is_the_difference_of_two_plans():
    free, case = small(), ordered(NOW_TO_80)
    before, after = solve(free), solve(case)
    change = change_between(case, before, after)
    assert change.cost == pytest.approx(after.objective - before.objective)
    assert change.cost > 1.0
    assert (change.shortfalls, change.exceeded_limits) == ((), ())


def test_the_change_names_what_is_missed_because_of_an_order():
    targets = [must(3, 0.8), should(4, 0.8, 0.5)]
    free = small(vehicles__0__targets=targets)
    case = ordered({"kind": "hold", "from_step": 0, "to_step": 4}, vehicles__0__targets=targets)
    change = change_between(case, solve(free), solve(case))
    assert [(item.boundary, item.missing_kwh) for item in change.shortfalls] == [(3, pytest.approx(12))]
    assert change.missed_worth == pytest.approx(6.0)
    assert change.cost == pytest.approx(change.objective + 6.0)


@pytest.mark.parametrize("limit_kw", [16.0, 19.0, 60.0])
def test_one_more_kw_of_import_limit_is_worth_what_a_second_solve_says(limit_kw):
    changes = {"vehicles__0__targets": [must(4, 0.8)], "vehicles__0__v2g": False}
    plan = solve(small(site__import_limit_kw=limit_kw, **changes))
    more = solve(small(site__import_limit_kw=limit_kw + 0.1, **changes))
    value = plan.what_if.import_limit_per_kw
    assert value == pytest.approx((plan.objective - more.objective) / 0.1, abs=1e-4)
    assert (value > 0.0) == (limit_kw < 18)


def test_the_value_of_the_import_limit_is_not_told_where_guarantees_come_first():
    plan = solve(small(site__import_limit_kw=12, vehicles__0__targets=[must(4, 0.9)]))
    assert plan.what_if.import_limit_per_kw is None
    assert fallback(small()).what_if.import_limit_per_kw is None


def test_a_missed_target_says_what_it_would_take():
    case = small(
        vehicles__0__away=[trip(0, 1, 2)],
        vehicles__0__targets=[must(1, 0.5), must(2, 0.9), should(4, 0.9, 0.01)],
        vehicles__0__v2g=False,
        chargers__0__max_charge_kw=10,
    )
    first, second, third = sound(case).what_if.shortfalls
    assert (first.more_kw, first.worth) == (None, None)
    assert (second.missing_kwh, second.more_kw) == (pytest.approx(9.0), pytest.approx(10.0))
    assert third.worth == pytest.approx(0.01 * third.missing_kwh)
