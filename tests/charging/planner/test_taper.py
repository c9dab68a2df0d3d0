"""Charging that slows down as the battery fills: plans, orders, causes, words, and the check that finds too much."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charging.planner.baseline import unmanaged
from charging.planner.case import case_from_json
from charging.planner.devices import problem_of
from charging.planner.plan import plan_from_json, plan_to_json
from charging.planner.reference import solve_reference
from charging.planner.solve import fallback, solve
from charging.planner.taper import hull_of, power_at
from charging.planner.verify import verify
from tests.charging.planner.cases import depots
from tests.charging.planner.featured import taper as tapers
from tests.charging.planner.small import CHARGER, document, must, small, trip
from tests.charging.planner.test_properties import same_as_the_reference

# 40 kWh: 20 kW up to 20 kWh, then 1 kW less for each kWh.
TAPER = [{"soc": 0.5, "max_charge_kw": 20}, {"soc": 1.0, "max_charge_kw": 0}]
LOSSLESS = CHARGER | {"charge_efficiency": 1.0, "discharge_efficiency": 1.0}
PLAIN = {"chargers": [LOSSLESS], "vehicles__0__v2g": False, "vehicles__0__max_soc": 1.0}
quick = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def bus(**changes):
    """Return the small depot with a bus that tapers, lossless and one-way."""
    return small(**(PLAIN | {"vehicles__0__taper": TAPER} | changes))


def sound(case):
    plan = solve(case)
    assert (verify(case, plan), plan.status) == ([], "optimal")
    return plan


def test_a_target_beyond_the_tapered_path_is_missed_by_the_least_and_named():
    case = bus(step_minutes=15, vehicles__0__targets=[must(4, 1.0)])
    path = [20.0]
    for _ in range(4):
        path.append(path[-1] + 0.25 * (40 - path[-1]))
    plan = sound(case)
    (missed,) = plan.shortfalls
    assert (missed.cause, missed.missing_kwh) == ("charger power", pytest.approx(40 - path[-1], abs=1e-3))
    assert plan.vehicles["bus"].soc * 40 == pytest.approx(path, abs=1e-3)
    for other in (fallback(case), unmanaged(case)):
        assert other.vehicles["bus"].soc * 40 == pytest.approx(path, abs=1e-3)
    assert verify(case, fallback(case)) == []


def test_without_a_taper_the_same_target_is_met():
    assert sound(bus(vehicles__0__taper=None, vehicles__0__targets=[must(4, 1.0)])).shortfalls == ()


def test_charge_now_asks_for_no_more_than_the_taper_lets_through():
    order = {"kind": "charge_now", "from_step": 0, "to_step": 4}
    case = bus(step_minutes=15, vehicles__0__overrides=[order])
    plan = sound(case)
    assert plan.exceeded_limits == ()
    assert plan.vehicles["bus"].charge_kw == pytest.approx([20, 15, 11.25, 8.4375], abs=1e-3)
    same_as_the_reference(case, share=1e-5)


def test_words_say_where_the_taper_binds():
    plan = sound(bus(step_minutes=15, vehicles__0__targets=[must(4, 1.0)]))
    assert "from 12:15 on the battery takes 15 kW or less" in plan.explanations["bus"][0].because


def test_the_fallback_serves_the_bus_first_whose_taper_leaves_no_time():
    """At full power the other bus would be the more urgent one: 14 kWh are missing there, 13 kWh here."""
    bus = document(**PLAIN)["vehicles"][0]
    vehicles = [
        bus | {"id": "tapered", "charger": "tapered", "targets": [must(4, 0.825)], "taper": TAPER},
        bus | {"id": "other", "charger": "other", "targets": [must(4, 0.85)]},
    ]
    chargers = [LOSSLESS | {"id": name} for name in ("tapered", "other")]
    case = small(step_minutes=15, site__import_limit_kw=38, chargers=chargers, vehicles=vehicles)
    assert fallback(case).shortfalls == ()


def test_charging_above_the_taper_is_found():
    case = bus(step_minutes=15, vehicles__0__targets=[must(4, 0.8)])
    data = plan_to_json(solve(case))
    data["vehicles"]["bus"]["charge_kw"] = [20.0] * 4
    assert "taper" in {item.kind for item in verify(case, plan_from_json(data))}


def test_past_its_last_point_a_curve_stays_and_a_switch_decides_where_it_bends_up():
    curve = [{"soc": 0.5, "max_charge_kw": 20}, {"soc": 0.7, "max_charge_kw": 4}]
    price = [0.1, 0.1, 0.1, 0.4]
    for soc in (0.8, 0.85, 0.9, 1.0):
        targets = {"vehicles__0__targets": [must(4, soc)], "prices__import_per_kwh": price}
        case = bus(step_minutes=60, vehicles__0__taper=curve, **targets)
        same_as_the_reference(case, share=1e-5)
        assert solve_reference(case).must_missing_kwh == pytest.approx(0.0, abs=1e-4)


def test_downward_reserve_counts_on_the_tapered_power():
    reserve = {"frequency": {"pay_per_kw_h": 1.0, "symmetric": False, "hours": 0.25}}
    case = bus(reserve=reserve, vehicles__0__initial_soc=0.75, prices__import_per_kwh=5.0)
    plan = sound(case)
    assert plan.reserve is not None
    assert plan.reserve.down_kw == pytest.approx([10.0] * 4, abs=1e-3)
    data = plan_to_json(plan)
    data["reserve"]["down_kw"] = [20.0] * 4
    assert "frequency" in {item.kind for item in verify(case, plan_from_json(data))}


@quick
@given(tapers(), st.lists(st.floats(-5.0, 60.0), min_size=1, max_size=8))
def test_the_curve_as_lines_is_the_curve(points, energies):
    vehicle = bus(vehicles__0__taper=points).vehicles[0]
    problem = problem_of(bus(vehicles__0__taper=points))
    lines = hull_of([vehicle], np.array([40.0]))
    for energy in energies:
        expected = power_at(vehicle, energy)
        assert problem.devices.tapers.most_kw(np.array([energy]))[0] == pytest.approx(expected, abs=1e-9)
        if energy <= 40.0:
            line = (lines.intercept_kw + lines.slope * energy).min(initial=points[0]["max_charge_kw"])
            assert line >= expected - 1e-9


@quick
@given(depots(), st.data())
def test_no_plan_holds_more_than_full_power_from_now_on(data, draw):
    for vehicle in data["vehicles"]:
        vehicle["taper"] = [item | {"soc": max(item["soc"], 0.0)} for item in draw.draw(tapers())]
        vehicle["taper"][-1]["soc"] = 1.0
    case = case_from_json(data)
    plan, best, least = unmanaged(case), solve(case, tidy=False), fallback(case)
    for vehicle in case.vehicles:
        fullest = plan.vehicles[vehicle.id].soc
        for other in (best, least):
            assert (fullest >= other.vehicles[vehicle.id].soc - 1e-5).all()


def test_a_trip_frees_power_again():
    case = bus(steps=4, vehicles__0__away=[trip(1, 2, 20)], vehicles__0__targets=[must(1, 0.9), must(4, 0.9)])
    plan = sound(case)
    assert plan.shortfalls == ()
    assert plan.vehicles["bus"].charge_kw.max() <= 20 + 1e-6
