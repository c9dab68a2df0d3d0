"""Plans of cases whose answer is known by hand, and of cases that must never be left without a plan."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from charging.planner.baseline import unmanaged
from charging.planner.case import case_from_json
from charging.planner.plan import plan_from_json, plan_to_json
from charging.planner.solve import fallback, solve
from charging.planner.verify import Violation, verify
from tests.charging.planner.small import CHARGER, VEHICLE, document, must, should, small, trip

DOC = Path(__file__).resolve().parents[3] / "docs" / "algorithms" / "planning.md"
BATTERY = {
    "id": "battery",
    "node": None,
    "capacity_kwh": 10,
    "initial_soc": 0.5,
    "max_charge_kw": 5,
    "max_discharge_kw": 5,
    "charge_efficiency": 1,
    "discharge_efficiency": 1,
    "wear_cost_per_kwh": 0.01,
    "final_soc": 0.5,
}


GOLDEN = Path(__file__).resolve().parents[2] / "cases" / "depot-10-trips.json"


def sound(case, **options):
    """Solve and verify."""
    plan = solve(case, **options)
    assert verify(case, plan) == []
    return plan


def test_the_golden_case():
    case = case_from_json(json.loads(GOLDEN.read_text()))
    plan = sound(case)
    assert plan.objective == pytest.approx(317.983, abs=0.01)
    assert plan.bound <= plan.objective
    assert plan.status == "optimal"
    assert plan.seconds.total < 1.0
    assert plan.shortfalls == ()
    assert unmanaged(case).objective == pytest.approx(17556, abs=1.0)
    assert plan.objective < fallback(case).objective < unmanaged(case).objective


@pytest.mark.parametrize(
    ("steps", "more", "cost"), [(range(96), 0.02, 287.757), (range(64, 84), 0.05, 281.943)]
)
def test_an_export_price_above_the_import_price_is_proven_by_branching_on_counts(steps, more, cost):
    data = json.loads(GOLDEN.read_text())
    prices = data["prices"]
    for step in steps:
        prices["export_per_kwh"][step] = prices["import_per_kwh"][step] + more
    plan = sound(case_from_json(data))
    assert plan.objective == pytest.approx(cost, abs=0.001 + 1e-4 * cost)
    assert plan.status == "optimal"
    both = np.minimum(plan.site.import_kw, plan.site.export_kw)
    assert both.max() <= 1e-3


def test_the_worked_example_of_the_document():
    data = json.loads(
        re.search(r"## A worked example\n.*?```json\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL).group(1)
    )
    plan = sound(case_from_json(data))
    bus = plan.vehicles["bus"]
    assert plan.objective == pytest.approx(9.856)
    assert bus.charge_kw == pytest.approx([0, 8, 8, 0], abs=1e-6)
    assert bus.discharge_kw == pytest.approx([0, 0, 0, 2.16], abs=1e-6)
    assert plan.site.import_kw == pytest.approx([10, 18, 18, 7.84], abs=1e-6)
    assert bus.soc * 40 == pytest.approx([20, 20, 27.2, 34.4, 32], abs=1e-6)
    assert plan.marginal_price_per_kwh == pytest.approx([0.3, 0.279, 0.279, 0.4])
    assert plan.demand_peaks == {"facility": [pytest.approx(18.0)]}
    assert "9.856" in DOC.read_text(encoding="utf-8")


def test_a_recurring_window_is_one_maximum_for_each_period():
    charge = {"id": "peak", "price_per_kw": 1, "window": [1, 0, 1, 1], "period": [0, 0, 0, 1]}
    case = small(vehicles=[], site__building_load_kw=[30, 99, 20, 7], demand_charges=[charge])
    plan = sound(case)
    assert plan.demand_peaks == {"peak": [30.0, 7.0]}
    assert plan.cost.demand == {"peak": pytest.approx(37.0)}


def test_a_metering_interval_is_the_mean_of_its_steps_by_the_clock():
    charge = {"id": "peak", "price_per_kw": 1, "metering_minutes": 30}
    case = small(
        step_minutes=15,
        start="2026-03-10T12:15:00-05:00",
        vehicles=[],
        site__building_load_kw=[8, 40, 20, 10],
        demand_charges=[charge],
    )
    assert sound(case).demand_peaks == {"peak": [30.0]}


def test_exporting_pays_more_than_importing():
    case = small(prices__export_per_kwh=0.5, site__export_limit_kw=50, vehicles__0__targets=[must(4, 0.5)])
    plan = sound(case)
    assert plan.status == "optimal"
    assert plan.vehicles["bus"].discharge_kw.sum() > 0.0


def test_negative_prices_do_not_make_a_vehicle_charge_and_discharge_at_once():
    case = small(prices__import_per_kwh=-0.2, vehicles__0__v2g_min_soc=0.6)
    plan = sound(case)
    assert plan.status == "optimal"
    bus = plan.vehicles["bus"]
    assert (np.minimum(bus.charge_kw, bus.discharge_kw) == 0.0).all()


def test_a_vehicle_below_its_discharge_floor_is_not_discharged():
    case = small(vehicles__0__v2g_min_soc=0.8, prices__import_per_kwh=[0.4, 0.4, 0.4, 0.4])
    assert sound(case).vehicles["bus"].discharge_kw.sum() == 0.0


def test_arriving_below_the_discharge_floor():
    case = small(
        steps=6,
        prices__import_per_kwh=[0.1, 0.1, 0.1, 0.5, 0.5, 0.1],
        vehicles__0__v2g_min_soc=0.5,
        vehicles__0__away=[trip(1, 3, 8)],
        vehicles__0__targets=[must(6, 0.2)],
    )
    plan = sound(case)
    assert plan.status == "optimal"
    discharged = plan.vehicles["bus"].discharge_kw > 1e-3
    assert (plan.vehicles["bus"].soc[1:][discharged] >= 0.5 - 1e-4).all()


def test_a_start_above_the_maximum_may_come_down_but_is_not_charged():
    plan = sound(small(vehicles__0__initial_soc=1.0, prices__import_per_kwh=[0.4, -0.1, 0.4, 0.4]))
    assert plan.exceeded_limits[0].kind == "max_soc"
    assert (plan.vehicles["bus"].soc[1:][plan.vehicles["bus"].charge_kw > 1e-3] <= 0.9 + 1e-6).all()


def test_a_start_below_the_minimum_is_mended_at_once():
    plan = sound(small(vehicles__0__initial_soc=0.0, vehicles__0__min_soc=0.5))
    assert plan.vehicles["bus"].charge_kw[0] == pytest.approx(20)
    assert plan.vehicles["bus"].soc[1] == pytest.approx(0.45)
    assert plan.vehicles["bus"].soc[2] >= 0.5 - 1e-6
    (limit,) = plan.exceeded_limits
    assert (limit.kind, limit.place, limit.from_step, limit.to_step) == ("min_soc", "bus", 0, 2)
    assert limit.cause == "starts below its minimum"


@pytest.mark.parametrize(
    ("changes", "cause", "missing"),
    [
        ({"vehicles__0__targets": [must(0, 0.6)]}, "plugged in too late", 4.0),
        ({"vehicles__0__targets": [must(1, 1.0)]}, "maximum SoC", 4.0),
        ({"vehicles__0__away": [trip(0, 3, 8)], "vehicles__0__targets": [must(3, 0.5)]}, "away", 8.0),
        (
            {"vehicles__0__away": [trip(0, 3, 8)], "vehicles__0__targets": [must(4, 0.9)]},
            "plugged in too late",
            6.0,
        ),
        ({"vehicles__0__max_charge_kw": 2, "vehicles__0__targets": [must(4, 0.9)]}, "charger power", 8.8),
        ({"chargers__0__max_charge_kw": 0, "vehicles__0__targets": [must(4, 0.9)]}, "charger power", 16.0),
        (
            {
                "vehicles__0__initial_soc": 0.0,
                "vehicles__0__max_charge_kw": 1,
                "vehicles__0__targets": [must(4, 0.5)],
            },
            "below minimum",
            16.4,
        ),
        ({"site__import_limit_kw": 11, "vehicles__0__targets": [must(4, 0.9)]}, "site limit", 12.4),
        (
            {"site__import_limit_kw": 5, "vehicles__0__v2g": False, "vehicles__0__targets": [must(4, 0.9)]},
            "site limit",
            16.0,
        ),
        (
            {
                "site__nodes": [{"id": "f1", "parent": None, "import_limit_kw": 1}],
                "chargers__0__node": "f1",
                "vehicles__0__targets": [must(4, 0.9)],
            },
            "feeder f1",
            12.4,
        ),
        ({"vehicles__0__targets": [should(4, 0.6, 0.01)], "vehicles__0__v2g": False}, "price", 4.0),
    ],
)
def test_each_shortfall_is_least_and_named_with_its_cause(changes, cause, missing):
    plan = sound(small(**changes))
    (shortfall,) = plan.shortfalls
    assert shortfall.cause == cause
    assert shortfall.missing_kwh == pytest.approx(missing, abs=1e-3)
    assert shortfall.asset == "vehicle"


def test_two_vehicles_share_the_power_of_a_charger():
    vehicles = [{**VEHICLE, "id": name, "targets": [must(2, 0.9)]} for name in ("a", "b")]
    plan = sound(small(vehicles=vehicles))
    assert plan.shortfalls == ()
    total = plan.vehicles["a"].charge_kw + plan.vehicles["b"].charge_kw
    assert total[:2].sum() == pytest.approx(32 / 0.9)
    assert total.max() <= 20 + 1e-6


def test_a_shared_charger_is_named_as_the_cause():
    vehicles = [{**VEHICLE, "id": name, "targets": [must(1, 0.9)]} for name in ("a", "b")]
    plan = sound(small(vehicles=vehicles))
    assert sum(item.missing_kwh for item in plan.shortfalls) == pytest.approx(32 - 18, abs=1e-3)
    assert {item.cause for item in plan.shortfalls} == {"charger power"}


def test_a_building_above_the_limit_is_relieved_by_vehicles_first():
    case = small(site__import_limit_kw=[100, 100, 100, 5], site__building_load_kw=20)
    plan = sound(case)
    assert plan.exceeded_limits == ()
    assert plan.vehicles["bus"].discharge_kw[3] >= 15.0 - 1e-6


def test_a_building_above_the_limit_without_vehicles_is_reported():
    plan = sound(small(site__import_limit_kw=5, vehicles=[]))
    (limit,) = plan.exceeded_limits
    assert (limit.kind, limit.place, limit.from_step, limit.to_step) == (
        "import_limit",
        "grid connection",
        0,
        4,
    )
    assert limit.worst == pytest.approx(5.0)


def test_sun_that_can_go_nowhere_is_reported():
    plan = sound(small(site__solar_kw=[50, 0, 0, 0], site__solar_curtailable=False, vehicles__0__v2g=False))
    (limit,) = plan.exceeded_limits
    assert (limit.kind, limit.from_step, limit.to_step) == ("export_limit", 0, 1)
    assert limit.worst == pytest.approx(50 - 10 - 16 / 0.9)


def test_a_stationary_battery_works_for_the_site():
    plan = sound(small(vehicles=[], storage=[BATTERY]))
    battery = plan.storage["battery"]
    assert battery.discharge_kw == pytest.approx([5, 0, 0, 5], abs=1e-6)
    assert battery.soc[-1] == pytest.approx(0.5)
    assert plan.cost.wear == pytest.approx(0.1)


def test_a_battery_that_cannot_fill_up_is_named():
    plan = sound(small(vehicles=[], storage=[{**BATTERY, "max_charge_kw": 1, "final_soc": 1.0}]))
    (shortfall,) = plan.shortfalls
    assert (shortfall.vehicle, shortfall.asset, shortfall.cause) == ("battery", "storage", "charger power")


@pytest.mark.parametrize("tidy", [True, False])
def test_an_empty_depot_has_a_plan(tidy):
    data = document(vehicles=[], chargers=[], prices__import_per_kwh=0, site__building_load_kw=0)
    plan = sound(case_from_json(data), tidy=tidy)
    assert (plan.objective, plan.bound, plan.gap, plan.status) == (0.0, 0.0, 0.0, "optimal")


def test_tidy_charges_early_where_it_costs_nothing():
    case = small(prices__import_per_kwh=0.2, vehicles__0__v2g=False, vehicles__0__targets=[must(4, 0.9)])
    plan = sound(case)
    assert plan.vehicles["bus"].charge_kw == pytest.approx([16 / 0.9, 0, 0, 0], abs=1e-6)
    assert plan.objective == pytest.approx(solve(case, tidy=False).objective)


def test_without_time_the_fallback_is_returned_and_sound():
    case = small(vehicles__0__targets=[must(4, 0.9)])
    plan = sound(case, time_limit_seconds=1e-9)
    assert plan.status == "fallback"
    assert plan.shortfalls == ()
    assert plan.bound <= plan.objective


def test_a_plan_that_fails_verification_is_never_returned(monkeypatch):
    case = small(vehicles__0__targets=[must(4, 0.9)])
    fault = Violation("node", "node f1, step 0", "is above its import limit")
    monkeypatch.setattr("charging.planner.solve.verify", lambda case, plan: [fault])
    assert solve(case).status == "fallback"


def test_fallback_serves_the_vehicle_with_the_least_laxity_first():
    early = {**VEHICLE, "id": "early", "charger": "c1", "targets": [must(1, 0.9)]}
    late = {**VEHICLE, "id": "late", "charger": "c2", "targets": [must(4, 0.9)]}
    case = small(
        vehicles=[late, early], chargers=[CHARGER, {**CHARGER, "id": "c2"}], site__import_limit_kw=28
    )
    plan = fallback(case)
    assert verify(case, plan) == []
    assert plan.shortfalls == ()
    assert plan.vehicles["early"].charge_kw[0] == pytest.approx(16 / 0.9)


PEAK = {"id": "peak", "price_per_kw": 5, "billed_kw_so_far": 12}


def test_fallback_holds_the_demand_peak_where_departures_allow_it():
    case = small(demand_charges=[PEAK], vehicles__0__targets=[must(4, 0.9)])
    plan = fallback(case)
    assert verify(case, plan) == []
    assert plan.shortfalls == ()
    assert solve(case).demand_peaks["peak"][0] <= plan.demand_peaks["peak"][0] < 14.6
    assert fallback(small(vehicles__0__targets=[must(4, 0.9)])).site.import_kw.max() > 27


def test_fallback_sets_a_peak_where_a_departure_needs_it():
    case = small(demand_charges=[PEAK], vehicles__0__targets=[must(1, 0.9)])
    plan = fallback(case)
    assert plan.shortfalls == ()
    assert plan.demand_peaks["peak"][0] == pytest.approx(10 + 16 / 0.9, abs=0.3)


def test_fallback_minds_only_the_windows_that_are_charged():
    windowed = PEAK | {"window": [1, 1, 0, 0], "metering_minutes": 60}
    case = small(demand_charges=[windowed], vehicles__0__targets=[must(4, 0.9)])
    plan = fallback(case)
    assert plan.shortfalls == ()
    assert plan.cost.demand == {"peak": 0.0}


def test_plans_survive_json():
    case = small(vehicles__0__targets=[must(4, 1.0)], storage=[BATTERY], site__import_limit_kw=0)
    written = json.loads(json.dumps(plan_to_json(solve(case)), allow_nan=False))
    assert plan_to_json(plan_from_json(written)) == written
    assert written["shortfalls"] and written["exceeded_limits"] and written["explanations"]["bus"]
    with pytest.raises(ValueError, match="version 9 is not supported; use 1"):
        plan_from_json({**written, "version": 9})
