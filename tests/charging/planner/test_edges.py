"""Cases at the edge of what a depot is: always a verified plan, from the solver and without it, never an exception."""

import pytest

from charging.planner.baseline import unmanaged
from charging.planner.case import CaseError, case_from_json
from charging.planner.solve import fallback, solve
from charging.planner.verify import verify
from tests.charging.planner.small import CHARGER, VEHICLE, document, must, should, small, trip

TAPER = [{"soc": 0.5, "max_charge_kw": 20}, {"soc": 1.0, "max_charge_kw": 2}]
BANDS = [{"below_soc": 0.5, "cost_per_kwh": 0.2}, {"below_soc": 1.0, "cost_per_kwh": 0.05}]
NO_TRIPS = {"vehicles__0__targets": [must(4, 0.9)]}
EDGES = {
    "starts below the minimum": {"vehicles__0__initial_soc": 0.0, "vehicles__0__min_soc": 0.5},
    "starts above the maximum": {"vehicles__0__initial_soc": 1.0, "vehicles__0__max_soc": 0.6},
    "leaves in the next step": {
        "vehicles__0__away": [trip(1, 3, 30)],
        "vehicles__0__targets": [must(1, 0.9)],
    },
    "is away all the time": {"vehicles__0__away": [trip(0, 4, 100)], "vehicles__0__targets": [must(4, 0.9)]},
    "vehicle without power": {
        "vehicles__0__max_charge_kw": 0,
        "vehicles__0__max_discharge_kw": 0,
        **NO_TRIPS,
    },
    "charger without power": {
        "chargers__0__max_charge_kw": 0,
        "chargers__0__max_discharge_kw": 0,
        **NO_TRIPS,
    },
    "taper without power": {"vehicles__0__taper": [{"soc": 0.5, "max_charge_kw": 0}], **NO_TRIPS},
    "all series zero": {
        "site__building_load_kw": 0,
        "site__import_limit_kw": 0,
        "prices__import_per_kwh": 0,
        **NO_TRIPS,
    },
    "a phase without power": {
        "site__nodes": [{"id": "n", "parent": None, "phase_limit_kw": 0}],
        "chargers__0__node": "n",
        **NO_TRIPS,
    },
    "one step": {
        "steps": 1,
        "prices__import_per_kwh": 0.3,
        "vehicles__0__targets": [must(1, 0.9), should(1, 1.0, 0.1)],
    },
    "no vehicles": {"vehicles": [], "chargers": []},
    "a charger nobody uses": {"chargers": [CHARGER, CHARGER | {"id": "c2"}], **NO_TRIPS},
    "huge prices": {"prices__import_per_kwh": [1e9, 0.1, 1e9, 0.1], **NO_TRIPS},
    "huge prices both ways": {
        "prices": {"import_per_kwh": [1e9, 1, 1, 1], "export_per_kwh": [0, 1e9, 0, 0]},
        "site__export_limit_kw": 50,
    },
    "an outlier of 1e6 kW": {"site__building_load_kw": [10, 1e6, 10, 10], **NO_TRIPS},
    "a negative load": {"site__building_load_kw": -30, "site__export_limit_kw": 100, **NO_TRIPS},
    "a negative load that may not flow out": {"site__building_load_kw": -30, **NO_TRIPS},
    "a huge battery": {"vehicles__0__capacity_kwh": 1e6, **NO_TRIPS},
    "a trip beyond the battery": {
        "vehicles__0__away": [trip(1, 3, 500)],
        "vehicles__0__targets": [must(1, 1.0)],
    },
}


@pytest.mark.parametrize("physics", [{}, {"taper": TAPER, "wear_bands": BANDS}], ids=["plain", "physics"])
@pytest.mark.parametrize("changes", EDGES.values(), ids=EDGES.keys())
def test_there_is_a_verified_plan(changes, physics):
    data = document(**changes)
    for vehicle in data["vehicles"]:
        for key, value in physics.items():
            vehicle.setdefault(key, value)
        if physics:
            vehicle.pop("wear_cost_per_kwh")
    case = case_from_json(data)
    plan = solve(case)
    assert (verify(case, plan), plan.status) == ([], "optimal")
    assert verify(case, fallback(case)) == []
    assert unmanaged(case).vehicles.keys() == plan.vehicles.keys()


@pytest.mark.parametrize("v2g", [True, False])
def test_a_power_cut_of_a_day_and_a_half_misses_what_it_must_and_no_more(v2g):
    """36 of 48 hours without grid, two trips and a small building: what the first six hours can store has to do."""
    cut = [100.0] * 6 + [0.0] * 36 + [100.0] * 6
    buses = [
        VEHICLE
        | {
            "id": f"v{i}",
            "charger": f"c{i}",
            "v2g": v2g,
            "taper": TAPER,
            "away": [trip(18, 26, 12), trip(42, 44, 12)],
            "targets": [must(18, 0.8), must(42, 0.85)],
        }
        for i in range(4)
    ]
    case = small(
        steps=48,
        site__import_limit_kw=cut,
        site__building_load_kw=0.5,
        prices__import_per_kwh=0.2,
        chargers=[CHARGER | {"id": f"c{i}"} for i in range(4)],
        vehicles=buses,
    )
    plan, rough = solve(case), fallback(case)
    assert (verify(case, plan), verify(case, rough)) == ([], [])
    assert {item.boundary for item in plan.shortfalls} <= {42} | ({18} if v2g else set())
    assert plan.shortfalls
    assert all(item.cause for item in plan.shortfalls)
    missed, rougher = (sum(item.missing_kwh for item in one.shortfalls) for one in (plan, rough))
    assert missed <= rougher + 1e-2


@pytest.mark.parametrize(
    "changes",
    [
        {"vehicles__0__capacity_kwh": float("nan")},
        {"vehicles__0__capacity_kwh": float("inf")},
        {"vehicles__0__taper": [{"soc": 0.5, "max_charge_kw": float("nan")}]},
        {"vehicles__0__wear_bands": [{"below_soc": 1.0, "cost_per_kwh": float("inf")}]},
        {"site__building_load_kw": float("nan")},
        {"site__nodes": [{"id": "n", "parent": None, "phase_limit_kw": float("nan")}]},
    ],
)
def test_what_is_no_number_is_refused(changes):
    with pytest.raises(CaseError, match=r"nan|inf"):
        case_from_json(document(**changes))
