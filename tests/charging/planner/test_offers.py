"""Plans that price, ask for and sell everything a case may, beside the reference model and by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from charging.planner.case import case_from_json
from charging.planner.plan import plan_from_json, plan_to_json
from charging.planner.solve import fallback, solve
from charging.planner.verify import verify
from tests.charging.planner.featured import featured_depots, profile
from tests.charging.planner.test_properties import same_as_the_reference


@profile
@given(featured_depots())
def test_every_plan_is_sound_and_costs_what_the_reference_does(data):
    case = case_from_json(data)
    assert verify(case, fallback(case)) == []
    plan = solve(case)
    assert plan.bound <= plan.objective
    assert plan_to_json(plan_from_json(plan_to_json(plan))) == plan_to_json(plan)
    same_as_the_reference(case, share=1e-4)


def depot(**changes: Any) -> dict[str, Any]:
    """Return four hours with a building of 20 kW and a battery of 40 kWh that can give and take 20 kW."""
    battery = {
        "id": "b",
        "node": None,
        "capacity_kwh": 40.0,
        "initial_soc": 0.5,
        "min_soc": 0.0,
        "max_soc": 1.0,
        "max_charge_kw": 20.0,
        "max_discharge_kw": 20.0,
        "charge_efficiency": 1.0,
        "discharge_efficiency": 1.0,
        "final_soc": 0.5,
    }
    return {
        "version": 1,
        "name": "offers",
        "start": "2026-03-10T00:00:00+00:00",
        "step_minutes": 60,
        "steps": 4,
        "currency": "EUR",
        "site": {"import_limit_kw": 100.0, "export_limit_kw": 50.0, "building_load_kw": 20.0},
        "prices": {"import_per_kwh": 0.1, "export_per_kwh": 0.0},
        "chargers": [],
        "vehicles": [],
        "storage": [battery],
    } | changes


def solved(**changes: Any):
    case = case_from_json(depot(**changes))
    plan = solve(case)
    assert verify(case, plan) == []
    assert plan.status == "optimal"
    return plan


def test_a_reduction_is_delivered_where_it_pays():
    event = {
        "id": "e",
        "from_step": 1,
        "to_step": 2,
        "kind": "reduce",
        "pay_per_kwh": 2.0,
        "baseline_kw": 20.0,
        "cap_kw": 15.0,
    }
    plan = solved(events=[event])
    assert plan.events["e"].delivered_kw.tolist() == pytest.approx([0, 15, 0, 0])
    assert plan.cost.programmes == pytest.approx(-30.0)
    assert plan.objective == pytest.approx(4 * 20 * 0.1 - 30.0)


def test_less_than_the_least_power_earns_nothing():
    event = {
        "id": "e",
        "from_step": 0,
        "to_step": 1,
        "kind": "reduce",
        "pay_per_kwh": 2.0,
        "baseline_kw": 25.0,
        "min_kw": 30.0,
    }
    plan = solved(events=[event])
    assert plan.events["e"].delivered_kw.sum() == 0.0
    assert plan.cost.programmes == 0.0


def test_import_above_the_baseline_owes_nothing():
    event = {
        "id": "e",
        "from_step": 0,
        "to_step": 4,
        "kind": "reduce",
        "pay_per_kwh": 0.01,
        "baseline_kw": 5.0,
    }
    assert solved(events=[event]).cost.total <= 8.0 + 1e-9


def test_export_is_paid_per_kw_of_the_mean():
    event = {"id": "e", "from_step": 2, "to_step": 4, "kind": "export", "pay_per_kw": 10.0, "min_kw": 1.0}
    plan = solved(site=depot()["site"] | {"building_load_kw": 0.0}, events=[event])
    assert plan.events["e"].pay == pytest.approx(10.0 * plan.events["e"].delivered_kw[2:].mean())
    # 20 kWh above the final half can be lent: charged first and given back, or given within the event.
    assert plan.events["e"].delivered_kw.sum() == pytest.approx(20.0)


def test_backup_is_kept_and_named_where_it_cannot_be():
    plan = solved(reserve={"backup_kwh": [0, 40, 0, 60]})
    assert plan.storage["b"].soc[2] == pytest.approx(1.0)
    (named,) = [item for item in plan.exceeded_limits if item.kind == "backup"]
    assert (named.from_step, named.to_step, named.unit) == (3, 4, "kWh")
    assert named.worst == pytest.approx(20.0, abs=1e-2)


def test_frequency_reserve_is_bounded_by_power_and_energy():
    frequency = {"pay_per_kw_h": 1.0, "symmetric": True, "hours": 2.0}
    plan = solved(reserve={"frequency": frequency})
    # Half full, 20 kWh give 10 kW for two hours in either direction.
    assert plan.reserve is not None
    assert plan.reserve.up_kw.tolist() == pytest.approx([10.0] * 4)
    assert plan.reserve.pay == pytest.approx(40.0)


def test_tiers_and_throughput_and_standing_are_priced():
    tiers = [{"from_kw": 0, "price_per_kw": 1.0}, {"from_kw": 10, "price_per_kw": 5.0}]
    charge = {"id": "d", "tiers": tiers, "billed_kw_so_far": 8.0}
    plan = solved(demand_charges=[charge], storage=[])
    assert plan.cost.demand["d"] == pytest.approx(2 * 1.0 + 10 * 5.0)
    assert plan.demand_peaks["d"] == [20.0]


@pytest.mark.parametrize("part", ["up_kw", "down_kw"])
def test_more_reserve_than_can_be_held_is_found(part):
    case = case_from_json(depot(reserve={"frequency": {"pay_per_kw_h": 1.0}}))
    data = plan_to_json(solve(case))
    data["reserve"][part] = [50.0] * 4
    assert "frequency" in {fault.kind for fault in verify(case, plan_from_json(data))}


def test_claims_of_an_event_are_checked():
    event = {
        "id": "e",
        "from_step": 1,
        "to_step": 2,
        "kind": "reduce",
        "pay_per_kwh": 2.0,
        "baseline_kw": 20.0,
    }
    case = case_from_json(depot(events=[event]))
    data = plan_to_json(solve(case))
    data["events"]["e"]["delivered_kw"] = np.array([0.0, 30.0, 0.0, 0.0]).tolist()
    assert "event" in {fault.kind for fault in verify(case, plan_from_json(data))}
    data["events"]["e"]["delivered_kw"] = np.array([3.0, 0.0, 0.0, 0.0]).tolist()
    assert "event" in {fault.kind for fault in verify(case, plan_from_json(data))}


def test_a_load_too_large_for_its_window_is_served_as_far_as_can_be_and_named():
    load = {"id": "heat", "node": None, "energy_kwh": 50.0, "max_kw": 10.0, "from_step": 1, "to_step": 3}
    plan = solved(flexible_loads=[load])
    assert plan.flexible_loads["heat"].power_kw.tolist() == pytest.approx([0, 10, 10, 0])
    (missed,) = plan.shortfalls
    assert (missed.asset, missed.cause) == ("flexible_load", "window too short for its power")
    assert missed.missing_kwh == pytest.approx(30.0)
