"""Limits of single phases: held, named as a cause, and checked."""

import pytest

from charging.planner.plan import plan_from_json, plan_to_json
from charging.planner.solve import fallback, solve
from charging.planner.verify import verify
from tests.charging.planner.small import CHARGER, VEHICLE, must, small
from tests.charging.planner.test_properties import same_as_the_reference

PANEL = {"id": "panel", "parent": None, "phase_limit_kw": 10}
BOARD = {"id": "board", "parent": "panel"}
TARGETS = [must(4, 0.9)]


def two_buses(phases, limit_kw=10.0, targets=TARGETS, **changes):
    """Return two buses that want 16 kWh each within four hours, on chargers at a board below the panel."""
    chargers = [
        CHARGER | {"id": f"c{i}", "node": "board", "phase": phase, "charge_efficiency": 1.0}
        for i, phase in enumerate(phases)
    ]
    buses = [VEHICLE | {"id": f"v{i}", "charger": f"c{i}", "targets": targets} for i in range(len(phases))]
    nodes = [PANEL | {"phase_limit_kw": limit_kw}, BOARD]
    return small(site__nodes=nodes, chargers=chargers, vehicles=buses, **changes)


def test_two_chargers_on_one_phase_share_it_and_on_two_they_do_not():
    for phases, most in (((1, 1), 10.0), ((1, 2), 20.0)):
        case = two_buses(phases, prices__import_per_kwh=[0.1, 0.3, 0.3, 0.3])
        plan = solve(case)
        assert verify(case, plan) == []
        assert sum(item.charge_kw[0] for item in plan.vehicles.values()) == pytest.approx(most)
        same_as_the_reference(case, share=1e-5)


def test_a_charger_on_three_phases_loads_each_by_a_third():
    case = two_buses((None, 1), prices__import_per_kwh=[0.1, 0.3, 0.3, 0.3])
    plan = solve(case)
    load = plan.vehicles["v0"].charge_kw[0] / 3 + plan.vehicles["v1"].charge_kw[0]
    assert load == pytest.approx(10.0)
    assert verify(case, plan) == []


def test_what_a_phase_leaves_no_room_for_is_named():
    case = two_buses((1, 1), limit_kw=6.0)
    plan = solve(case)
    assert {item.cause for item in plan.shortfalls} == {"feeder panel, phase 1"}
    assert sum(item.missing_kwh for item in plan.shortfalls) == pytest.approx(32 - 24, abs=1e-2)
    assert verify(case, fallback(case)) == []
    assert {item.cause for item in fallback(case).shortfalls} == {"feeder panel, phase 1"}


def test_a_phase_holds_what_is_given_back_too():
    case = two_buses(
        (1, 1),
        limit_kw=4.0,
        targets=[],
        prices={"import_per_kwh": 0.1, "export_per_kwh": [0, 0, 0, 1.0]},
        site__export_limit_kw=50,
    )
    plan = solve(case)
    assert sum(item.discharge_kw[3] for item in plan.vehicles.values()) == pytest.approx(4.0)
    assert verify(case, plan) == []


def test_a_phase_above_its_limit_is_found():
    case = two_buses((1, 1))
    data = plan_to_json(solve(case))
    data["vehicles"]["v0"]["charge_kw"] = data["vehicles"]["v1"]["charge_kw"] = [8.0] * 4
    (fault,) = [item for item in verify(case, plan_from_json(data)) if item.kind == "phase"]
    assert fault.place == "node panel, phase 1, step 0"
