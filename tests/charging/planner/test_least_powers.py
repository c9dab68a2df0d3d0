"""A charger gives nothing, or at least its least power: by hand, and at random beside the reference model."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charging.planner.baseline import unmanaged
from charging.planner.case import case_from_json
from charging.planner.solve import fallback, solve
from charging.planner.verify import verify
from depot.project.benchmarks.planner import random_depot
from tests.charging.planner.cases import depots
from tests.charging.planner.featured import EXAMPLES, profile
from tests.charging.planner.test_properties import same_as_the_reference

LEAST = st.sampled_from([0.0, 0.0, 3.0, 7.0, 11.0, 40.0])


@st.composite
def depots_with_least_powers(draw: st.DrawFn) -> dict[str, Any]:
    """A small depot whose chargers have least powers, some above what they can give at all."""
    data = draw(depots(6, 2))
    for charger in data["chargers"]:
        charger["min_charge_kw"], charger["min_discharge_kw"] = draw(LEAST), draw(LEAST)
    return data


@settings(profile, max_examples=EXAMPLES or 20)
@given(depots_with_least_powers())
def test_every_plan_is_sound_and_costs_what_the_reference_does(data):
    case = case_from_json(data)
    assert verify(case, fallback(case)) == []
    plan = solve(case)
    assert plan.bound <= plan.objective + 1e-6
    same_as_the_reference(case, share=1e-4)


def depot(**changes: Any) -> dict[str, Any]:
    charger = {
        "id": "c1",
        "node": None,
        "max_charge_kw": 20,
        "max_discharge_kw": 20,
        "min_charge_kw": 8,
        "charge_efficiency": 1,
        "discharge_efficiency": 1,
    }
    bus = {
        "id": "bus",
        "capacity_kwh": 100,
        "initial_soc": 0.5,
        "charger": "c1",
        "targets": [{"boundary": 4, "soc": 0.75, "tier": "must"}],
    }
    return {
        "version": 1,
        "name": "least",
        "start": "2026-03-10T00:00:00+00:00",
        "step_minutes": 60,
        "steps": 4,
        "currency": "EUR",
        "site": {"import_limit_kw": 100.0, "export_limit_kw": 0.0, "building_load_kw": 10.0},
        "prices": {"import_per_kwh": [0.3, 0.1, 0.12, 0.4], "export_per_kwh": 0.0},
        "chargers": [charger | changes.get("charger", {})],
        "vehicles": [bus | changes.get("bus", {})],
    }


def solved(**changes: Any):
    case = case_from_json(depot(**changes))
    plan = solve(case)
    assert verify(case, plan) == []
    return plan


def test_what_is_left_for_the_dearer_hour_is_at_least_the_least_power():
    plan = solved()
    assert plan.vehicles["bus"].charge_kw.tolist() == pytest.approx([0, 17, 8, 0])
    assert plan.status == "optimal"


def test_a_target_is_met_by_charging_beyond_it_where_the_least_power_wants_that():
    plan = solved(bus={"targets": [{"boundary": 4, "soc": 0.53, "tier": "must"}]})
    assert plan.vehicles["bus"].charge_kw.tolist() == pytest.approx([0, 8, 0, 0])
    assert plan.shortfalls == ()


def test_where_there_is_no_room_for_the_least_power_the_target_is_missed_by_name():
    plan = solved(bus={"initial_soc": 0.95, "targets": [{"boundary": 4, "soc": 1.0, "tier": "must"}]})
    assert plan.vehicles["bus"].charge_kw.tolist() == [0, 0, 0, 0]
    (missed,) = plan.shortfalls
    assert missed.missing_kwh == pytest.approx(5.0)


def test_the_unmanaged_depot_and_the_rules_keep_least_powers_too():
    case = case_from_json(depot(bus={"initial_soc": 0.76, "targets": []}))
    charged = unmanaged(case).vehicles["bus"].charge_kw.tolist()
    assert charged == pytest.approx([20, 0, 0, 0]), "the last 4 kWh are below 8 kW"
    wanted = case_from_json(depot(bus={"targets": [{"boundary": 4, "soc": 0.53, "tier": "must"}]}))
    assert fallback(wanted).vehicles["bus"].charge_kw.tolist() == pytest.approx([8, 0, 0, 0])


def test_a_plan_below_the_least_power_is_found_out():
    case = case_from_json(depot(charger={"min_charge_kw": 0}))
    strict = case_from_json(depot())
    plan = solve(case)
    assert [item.kind for item in verify(strict, plan)] == ["least_power"]


def test_least_powers_of_many_chargers_are_mended_near_the_linear_answer():
    data = random_depot(200, 1)
    for charger in data["chargers"]:
        charger["min_charge_kw"] = 0.1 * charger["max_charge_kw"]
        charger["min_discharge_kw"] = 0.1 * charger["max_discharge_kw"]
    case = case_from_json(data)
    plan = solve(case)
    assert plan.status == "optimal"
    assert plan.gap <= 1e-4
    assert not verify(case, plan)
