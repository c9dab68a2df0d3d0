"""Chargers whose efficiency falls at low power: by hand, and at random beside the reference model."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charging.planner.baseline import unmanaged
from charging.planner.case import CaseError, case_from_json, case_to_json
from charging.planner.classes import classes_of
from charging.planner.devices import problem_of
from charging.planner.formulation import formulate
from charging.planner.gates import Gates, lowest_kwh
from charging.planner.offline import offline_powers
from charging.planner.plan import plan_from_json, plan_to_json
from charging.planner.reference import solve_plain, solve_reference
from charging.planner.settle import MISSING_KWH, Decision, energy_path
from charging.planner.solve import fallback, solve
from charging.planner.verify import verify
from charging.planner.warm import LastPlan, continued
from tests.charging.planner.cases import depots, returning_depots
from tests.charging.planner.featured import EXAMPLES, featured_depots, profile
from tests.charging.planner.small import CHARGER, document, must, small, trip
from tests.charging.planner.test_bad_day import bad_depots
from tests.charging.planner.test_classes import _twice
from tests.charging.planner.test_free import scarce_depots
from tests.charging.planner.test_properties import same_as_the_reference

SHARES = st.sampled_from([0.0, 0.02, 0.1, 0.3, 0.8])
# 1 kW is lost while it charges: 0.9 x 20 - 1 are stored at full power, 0.9 x 5 - 1 at 5 kW.
LOSSY = CHARGER | {"charge_loss_kw": 1.0, "discharge_loss_kw": 0.5}
PLAIN = {"chargers": [LOSSY], "vehicles__0__v2g": False, "vehicles__0__max_soc": 1.0}


@st.composite
def with_losses(draw: st.DrawFn, source: st.SearchStrategy[dict[str, Any]], least: bool = True) -> Any:
    """A depot whose chargers and batteries lose a share of what full power stores, as long as they work."""
    data = draw(source)
    for station in (*data["chargers"], *data.get("storage", ())):
        station["charge_loss_kw"] = draw(SHARES) * station["max_charge_kw"] * station["charge_efficiency"]
        station["discharge_loss_kw"] = draw(SHARES) * station["max_discharge_kw"]
        if least and "capacity_kwh" not in station:
            station["min_charge_kw"] = draw(st.sampled_from([0.0, 0.0, 3.0, 11.0]))
    return data


@settings(profile, max_examples=EXAMPLES or 60)
@given(with_losses(depots(6, 2)))
def test_every_plan_is_sound_and_costs_what_the_reference_does(data):
    case = case_from_json(data)
    assert case_to_json(case_from_json(case_to_json(case))) == case_to_json(case)
    assert verify(case, fallback(case)) == []
    plan = solve(case)
    assert plan.bound <= plan.objective + 1e-6
    assert plan_to_json(plan_from_json(plan_to_json(plan))) == plan_to_json(plan)
    same_as_the_reference(case, share=1e-4)


@settings(profile, max_examples=EXAMPLES or 40)
@given(with_losses(featured_depots(5, 2)))
def test_beside_everything_else_that_a_case_may_hold(data):
    case = case_from_json(data)
    assert verify(case, fallback(case)) == []
    same_as_the_reference(case, share=1e-4)


@settings(profile, max_examples=EXAMPLES or 8)
@given(with_losses(returning_depots(2)))
def test_around_the_discharge_floor(data):
    same_as_the_reference(case_from_json(data), share=1e-4)


@settings(profile, max_examples=EXAMPLES or 25)
@given(with_losses(depots(6, 2)))
def test_the_plain_model_is_a_bound(data):
    case = case_from_json(data)
    answer = solve_reference(case)
    levels = answer.site_excess_kwh, answer.must_missing_kwh, answer.below_minimum_kwh, answer.unheeded_kwh
    if max(levels) <= 1e-6:
        assert solve_plain(case) <= answer.cost + answer.penalty + 2e-3


@settings(profile, max_examples=EXAMPLES or 25)
@given(with_losses(bad_depots(6, 2)))
def test_on_a_bad_day_what_is_missed_is_true_and_hardly_more_than_it_must_be(data):
    case = case_from_json(data)
    plan, reference = solve(case, gap=1e-6), solve_reference(case)
    assert verify(case, plan) == []
    missed = sum(item.missing_kwh for item in plan.bad_day.shortfalls)
    slack = 1e-3 + 10 * MISSING_KWH
    assert missed >= reference.bad_day_missing_kwh - slack
    # The programme of a way takes the loss of full power: in each step no more than the rest of it comes on top.
    lost = [item.charge_loss_kw for item in (*case.chargers, *case.storage)]
    users = len(case.vehicles) + len(case.storage)
    assert missed <= reference.bad_day_missing_kwh + slack + case.steps * case.hours * users * max(lost)


@settings(profile, max_examples=EXAMPLES or 15)
@given(with_losses(scarce_depots()))
def test_with_fewer_chargers_than_vehicles(data):
    case = case_from_json(data)
    assert verify(case, fallback(case)) == []
    plan = solve(case, time_limit_seconds=5)
    assert verify(case, plan) == []
    assert plan.bound <= plan.objective + 1e-6


@settings(profile, max_examples=EXAMPLES or 25)
@given(with_losses(depots(), least=False))
def test_the_unmanaged_depot_is_as_full_as_can_be_and_the_last_plan_can_go_on(data):
    case = case_from_json(data)
    plan, full = solve(case, tidy=False), unmanaged(case)
    for vehicle in case.vehicles:
        assert (full.vehicles[vehicle.id].soc >= plan.vehicles[vehicle.id].soc - 1e-6).all()
    on = continued(problem_of(case), LastPlan(plan, 0))
    for row, vehicle in enumerate(case.vehicles):
        own = plan.vehicles[vehicle.id]
        assert on.charge_kw[row] - on.discharge_kw[row] == pytest.approx(
            own.charge_kw - own.discharge_kw, abs=1e-3
        )


@settings(profile, max_examples=EXAMPLES or 8)
@given(with_losses(returning_depots(2), least=False))
def test_like_vehicles_are_still_planned_as_one(data):
    case = case_from_json(_twice(data))
    assert classes_of(case) is not None
    plan = solve(case, time_limit_seconds=8)
    assert verify(case, plan) == []
    assert plan.bound <= plan.objective + 1e-6


def sound(case):
    plan = solve(case)
    assert (verify(case, plan), plan.status) == ([], "optimal")
    return plan


def test_one_hour_at_full_power_is_better_than_two_at_half():
    """12 kWh are 13 / 0.9 kW in one hour, and would be 14 / 0.9 in two."""
    plan = sound(small(**PLAIN, vehicles__0__targets=[must(4, 0.8)], demand_charges=[]))
    assert sorted(plan.vehicles["bus"].charge_kw) == pytest.approx([0, 0, 0, 13 / 0.9], abs=1e-4)


def test_a_peak_that_costs_enough_is_worth_the_loss_of_more_hours():
    peak = {"id": "peak", "price_per_kw": 2.0, "billed_kw_so_far": 10.0}
    plan = sound(small(**PLAIN, vehicles__0__targets=[must(4, 0.8)], demand_charges=[peak]))
    assert plan.vehicles["bus"].charge_kw.tolist() == pytest.approx([(12 / 4 + 1) / 0.9] * 4, abs=1e-3)
    same_as_the_reference(small(**PLAIN, vehicles__0__targets=[must(4, 0.8)], demand_charges=[peak]), 1e-5)


def test_what_is_lost_while_discharging_wears_too():
    plan = sound(small(chargers=[LOSSY], vehicles__0__initial_soc=0.9))
    own = plan.vehicles["bus"]
    hours = int((own.discharge_kw > 0.0).sum())
    assert hours > 0
    assert plan.cost.wear == pytest.approx(0.05 * (own.discharge_kw.sum() / 0.9 + 0.5 * hours))


def test_a_least_power_below_which_nothing_would_be_stored_is_named():
    case = small(**PLAIN, vehicles__0__targets=[must(4, 0.8)])
    data = plan_to_json(solve(case))
    data["vehicles"]["bus"]["charge_kw"] = [0.5, 0.0, 0.0, 0.0]
    assert {"least_power", "soc"} <= {item.kind for item in verify(case, plan_from_json(data))}


def test_a_plan_that_forgets_the_loss_is_found_out():
    case = small(**PLAIN, vehicles__0__targets=[must(4, 0.8)])
    forgetful = solve(small(**(PLAIN | {"chargers": [CHARGER]}), vehicles__0__targets=[must(4, 0.8)]))
    assert "soc" in {item.kind for item in verify(case, forgetful)}


def test_charge_now_asks_for_what_full_power_stores():
    order = {"kind": "charge_now", "from_step": 0, "to_step": 4}
    plan = sound(small(**PLAIN, vehicles__0__overrides=[order], vehicles__0__initial_soc=0.1))
    assert plan.vehicles["bus"].soc * 40 == pytest.approx([4, 21, 38, 40, 40], abs=1e-3)
    assert plan.exceeded_limits == ()


def test_a_vehicle_that_takes_less_than_is_lost_is_not_charged():
    plan = sound(small(**PLAIN, vehicles__0__max_charge_kw=1.0, vehicles__0__targets=[must(4, 0.8)]))
    assert plan.vehicles["bus"].charge_kw.tolist() == [0, 0, 0, 0]
    assert [item.cause for item in plan.shortfalls] == ["charger power"]


def test_upward_reserve_keeps_the_energy_of_the_loss():
    reserve = {"frequency": {"pay_per_kw_h": 5.0, "symmetric": False, "hours": 1.0}}
    case = small(chargers=[LOSSY], vehicles__0__initial_soc=0.2, reserve=reserve, site__export_limit_kw=100)
    plan = sound(case)
    held = plan.vehicles["bus"].soc[:2].min() * 40 - 4
    assert plan.reserve.up_kw[0] == pytest.approx(max(0.0, (held - 0.5) * 0.9), abs=1e-3)
    data = plan_to_json(plan)
    data["reserve"]["up_kw"][0] += 0.4
    assert "frequency" in {item.kind for item in verify(case, plan_from_json(data))}


def test_a_battery_loses_too():
    battery = {"id": "b", "node": None, "capacity_kwh": 40, "initial_soc": 0.5, "max_charge_kw": 20}
    battery |= {
        "max_discharge_kw": 20,
        "charge_efficiency": 0.9,
        "discharge_efficiency": 0.9,
        "final_soc": 0.8,
    }
    case = small(vehicles=[], storage=[battery | {"charge_loss_kw": 1.0, "discharge_loss_kw": 0.5}])
    plan = sound(case)
    assert plan.storage["b"].soc[4] == pytest.approx(0.8, abs=1e-4)
    same_as_the_reference(case, share=1e-5)


def test_what_was_cut_from_a_charger_on_its_own_comes_back_with_its_loss():
    """In the second hour the building leaves 10 kW; what is missing then is charged in the third."""
    case = small(
        **PLAIN,
        vehicles__0__away=[trip(3, 4, 0)],
        vehicles__0__targets=[must(3, 0.9)],
        prices__import_per_kwh=[0.9, 0.1, 0.5, 0.9],
    )
    plan = solve(case)
    load = case.site.building_load_kw + np.array([0.0, 80.0, 0.0, 0.0])
    short = replace(case, site=replace(case.site, building_load_kw=load))
    power = offline_powers(short, plan).charge_kw["bus"]
    stored = 0.9 * power - 1.0 * (power > 0.0)
    planned = 0.9 * plan.vehicles["bus"].charge_kw - 1.0 * (plan.vehicles["bus"].charge_kw > 0.0)
    assert power[1] == pytest.approx(10.0)
    assert stored.sum() == pytest.approx(planned.sum(), abs=1e-3)


@pytest.mark.parametrize(
    ("charger", "sentence"),
    [
        ({"charge_loss_kw": -1}, "charge_loss_kw: -1 is outside"),
        ({"charge_loss_kw": 18}, r"charge_loss_kw: 18 kW eat all of the 18 kW that full power stores"),
        ({"discharge_loss_kw": 20}, r"discharge_loss_kw: 20 kW are no less than max_discharge_kw 20"),
    ],
)
def test_a_loss_that_leaves_nothing_is_refused(charger, sentence):
    with pytest.raises(CaseError, match=sentence):
        case_from_json(document(chargers=[CHARGER | charger]))


def test_a_charger_without_power_may_have_any_loss():
    case = small(chargers=[LOSSY | {"max_charge_kw": 0, "max_discharge_kw": 0}])
    assert verify(case, solve(case)) == []


def test_without_losses_nothing_is_added_to_the_programme():
    problem = problem_of(small())
    gates = Gates.none(problem.devices.use_kwh.shape)
    form = formulate(problem, gates, False, lowest_kwh(problem, False))
    assert (form.powers.charge_lost_at < 0).all()
    assert (form.powers.discharge_lost_at < 0).all()


def test_energy_follows_from_powers():
    problem = problem_of(small(chargers=[LOSSY]))
    decision = Decision(np.array([[10.0, 0, 0, 0]]), np.array([[0.0, 0, 9.0, 0]]), np.zeros(4))
    assert energy_path(problem, decision)[0].tolist() == pytest.approx([20, 28, 28, 17.5, 17.5])


def test_a_case_without_losses_reads_as_ever():
    data = case_to_json(small())
    bare = copy.deepcopy(data)
    for charger in bare["chargers"]:
        assert (charger.pop("charge_loss_kw"), charger.pop("discharge_loss_kw")) == (0.0, 0.0)
    assert case_to_json(case_from_json(bare)) == data
