"""Vehicles without a charger of their own: at random, by hand, and beside every assignment there is."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charging.planner import free
from charging.planner.baseline import unmanaged
from charging.planner.case import DepotCase, case_from_json, case_to_json
from charging.planner.plan import DepotPlan, VehiclePlan, plan_from_json, plan_to_json
from charging.planner.plugs import ASSIGNED, at_depot, swaps_of
from charging.planner.solve import fallback, solve
from charging.planner.verify import verify
from charging.planner.verify_chargers import charger_faults
from tests.charging.planner.cases import depots
from tests.charging.planner.featured import EXAMPLES, profile


@st.composite
def scarce_depots(draw: st.DrawFn, most_steps: int = 6, most_vehicles: int = 3) -> dict[str, Any]:
    """A small depot in which some vehicles are given chargers, and plugs may be moved more or less freely."""
    data = draw(depots(most_steps, most_vehicles))
    names = [charger["id"] for charger in data["chargers"]]
    plugged: list[str] = []
    for vehicle in data["vehicles"]:
        if draw(st.booleans()):
            continue
        vehicle["charger"] = None
        if draw(st.booleans()):
            vehicle["chargers"] = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
        free = [name for name in vehicle.get("chargers", names) if name not in plugged]
        owned = {item["charger"] for item in data["vehicles"]}
        free = [name for name in free if name not in owned]
        if free and draw(st.booleans()):
            vehicle["plugged_into"] = free[0]
            plugged.append(free[0])
    for charger in data["chargers"]:
        charger["min_charge_kw"] = draw(st.sampled_from([0.0, 0.0, 3.0]))
    if draw(st.booleans()):
        data["swaps"] = {
            "max": draw(st.sampled_from([None, 0, 1, 3])),
            "steps": draw(st.sampled_from([0, 0, 1, 2])),
            "staffed": draw(
                st.lists(st.sampled_from([0, 1, 1]), min_size=data["steps"], max_size=data["steps"])
            ),
        }
    return data


@settings(profile, max_examples=EXAMPLES or 40)
@given(scarce_depots())
def test_every_plan_is_sound_and_bounded(data):
    case = case_from_json(data)
    assert case_to_json(case_from_json(case_to_json(case))) == case_to_json(case)
    assert verify(case, fallback(case)) == []
    assert list(charger_faults(case, unmanaged(case))) == []
    plan = solve(case, time_limit_seconds=5)
    assert verify(case, plan) == []
    assert plan.bound <= plan.objective + 1e-6
    assert plan_to_json(plan_from_json(plan_to_json(plan))) == plan_to_json(plan)


def depot(*vehicles: dict[str, Any], **changes: Any) -> dict[str, Any]:
    charger = {
        "node": None,
        "max_charge_kw": 20,
        "max_discharge_kw": 20,
        "charge_efficiency": 1,
        "discharge_efficiency": 1,
    }
    return {
        "version": 1,
        "name": "scarce",
        "start": "2026-03-10T00:00:00+00:00",
        "step_minutes": 60,
        "steps": 6,
        "currency": "EUR",
        "site": {"import_limit_kw": 100.0, "export_limit_kw": 0.0, "building_load_kw": 0.0},
        "prices": {"import_per_kwh": [0.3, 0.1, 0.2, 0.4, 0.1, 0.2], "export_per_kwh": 0.0},
        "chargers": [charger | {"id": "c1"}],
        "vehicles": list(vehicles),
    } | changes


def bus(name: str, wanted: float, boundary: int = 6, **changes: Any) -> dict[str, Any]:
    target = {"boundary": boundary, "soc": wanted, "tier": "must"}
    return {
        "id": name,
        "capacity_kwh": 100,
        "initial_soc": 0.5,
        "charger": None,
        "targets": [target],
    } | changes


def solved(data: dict[str, Any]) -> DepotPlan:
    case = case_from_json(data)
    plan = solve(case)
    assert verify(case, plan) == []
    return plan


def test_two_share_a_charger_by_moving_its_plug():
    plan = solved(depot(bus("a", 0.7), bus("b", 0.9)))
    assert plan.shortfalls == ()
    assert plan.objective == pytest.approx(20 * (0.1 + 0.1 + 0.2))
    assert len(plan.swaps) in (2, 3)
    assert "charger" not in plan_to_json(plan)["vehicles"]["a"]


def test_who_may_not_be_plugged_in_is_missed_by_name():
    plan = solved(depot(bus("a", 0.7, plugged_into="c1"), bus("b", 0.7), swaps={"max": 0}))
    assert [swap.charger for swap in plan.swaps] == []
    (missed,) = plan.shortfalls
    assert (missed.vehicle, missed.cause) == ("b", "no free charger")
    assert missed.missing_kwh == pytest.approx(20)


def test_a_vehicle_that_pulls_in_plugs_itself_in():
    away = [{"from_step": 0, "to_step": 2, "energy_kwh": 0}]
    plan = solved(depot(bus("a", 0.7, away=away), swaps={"max": 0}))
    assert plan.swaps == ()
    assert plan.shortfalls == ()
    assert plan.vehicles["a"].chargers == (None, None, "c1", "c1", "c1", "c1")


def test_plugs_are_moved_while_somebody_is_there_and_take_their_time():
    swaps = {"steps": 1, "staffed": [0, 0, 1, 0, 0, 0]}
    plan = solved(depot(bus("a", 0.6, plugged_into="c1"), bus("b", 0.7), swaps=swaps))
    (swap,) = plan.swaps
    assert (swap.step, swap.from_vehicle, swap.to_vehicle) == (2, "a", "b")
    assert plan.vehicles["a"].chargers == ("c1", "c1", None, None, None, None)
    assert plan.vehicles["b"].chargers == (None, None, None, "c1", "c1", "c1")


def test_without_any_charger_there_is_a_plan():
    plan = solved(depot(bus("a", 0.7), chargers=[]))
    assert plan.vehicles["a"].chargers == (None,) * 6
    assert plan.shortfalls[0].missing_kwh == pytest.approx(20)


def test_chargers_of_one_cabinet_share_its_power():
    chargers = [depot()["chargers"][0] | {"id": name, "node": "cabinet"} for name in ("c1", "c2")]
    site = depot()["site"] | {"nodes": [{"id": "cabinet", "parent": None, "import_limit_kw": 20}]}
    plan = solved(depot(bus("a", 1.0), bus("b", 1.0), chargers=chargers, site=site))
    together = plan.vehicles["a"].charge_kw + plan.vehicles["b"].charge_kw
    assert together.max() <= 20 + 1e-6
    assert plan.shortfalls == ()


BROKEN = {
    "two on one": ({"a": ("c1",) * 6, "b": ("c1",) * 6}, "has two vehicles on one charger"),
    "no such charger": ({"a": ("c9",) * 6, "b": (None,) * 6}, "which it may not use"),
    "too short": ({"a": ("c1",), "b": (None,) * 6}, "for each step"),
    "unlisted": ({"a": (None,) * 5 + ("c1",), "b": (None,) * 6}, "does not list exactly"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_plans_with_impossible_plugs_are_found_out(kind: str):
    rows, words = BROKEN[kind]
    case = case_from_json(depot(bus("a", 0.5), bus("b", 0.5)))
    plan = solve(case)
    vehicles = {
        name: VehiclePlan(ASSIGNED, item.charge_kw, item.discharge_kw, item.soc, rows[name])
        for name, item in plan.vehicles.items()
    }
    broken = replace(plan, vehicles=vehicles)
    assert any(words in fault.sentence for fault in verify(case, broken))


def every_occupancy(case: DepotCase) -> list[dict[str, list[str | None]]]:
    """Return every allowed way to have the vehicles on one charger."""
    free = [vehicle.id for vehicle in case.vehicles]
    here = {vehicle.id: at_depot(vehicle.away, case.steps) for vehicle in case.vehicles}
    before = {vehicle.id: vehicle.plugged_into for vehicle in case.vehicles}
    most = case.swaps.max if case.swaps is not None else None
    found = []
    for holders in itertools.product([None, *free], repeat=case.steps):
        if any(name is not None and not here[name][step] for step, name in enumerate(holders)):
            continue
        rows = {name: ["c1" if holder == name else None for holder in holders] for name in free}
        if most is None or len(swaps_of(rows, here, before, 0)) <= most:
            found.append(rows)
    return found


@pytest.mark.parametrize("moves", [None, 1, 2])
def test_no_assignment_of_one_charger_is_better(moves: int | None):
    away = [{"from_step": 1, "to_step": 3, "energy_kwh": 10}]
    data = depot(bus("a", 0.6, 3), bus("b", 0.8, away=away, v2g=True), steps=5, swaps={"max": moves})
    data["prices"]["import_per_kwh"] = [0.3, 0.1, 0.2, 0.4, 0.1]
    for vehicle in data["vehicles"]:
        vehicle["targets"][0]["boundary"] = min(vehicle["targets"][0]["boundary"], 5)
    case = case_from_json(data)
    plan = solve(case)
    yard = free._yard(case, free.relaxed(case))
    others = (
        free._with_chargers(yard, solve(free._fixed(yard, rows), tidy=False), rows)
        for rows in every_occupancy(case)
    )
    best = min(free.rank_of(case, other) for other in others)
    assert free.rank_of(case, plan)[:-1] == best[:-1]
    assert free.rank_of(case, plan)[-1] == pytest.approx(best[-1], abs=1e-3)
    assert plan.bound <= best[-1] + 1e-6
