"""Verify finds every kind of fault in a plan that was sound before."""

from dataclasses import replace

import numpy as np
import pytest

from charging.planner.plan import ExceededLimit, Shortfall
from charging.planner.solve import solve
from charging.planner.verify import verify
from tests.charging.planner.small import VEHICLE, must, small, trip
from tests.charging.planner.test_solve import BATTERY

CASE = small(
    steps=5,
    prices__import_per_kwh=[0.3, 0.1, 0.1, 0.4, 0.2],
    site__solar_kw=[0, 5, 0, 0, 0],
    site__nodes=[{"id": "f1", "parent": None, "import_limit_kw": 12, "export_limit_kw": 15}],
    chargers__0__node="f1",
    demand_charges=[{"id": "facility", "price_per_kw": 1, "billed_kw_so_far": 15}],
    vehicles=[
        {
            **VEHICLE,
            "max_charge_kw": 15,
            "max_discharge_kw": 15,
            "away": [trip(4, 5, 4)],
            "targets": [must(4, 0.8)],
        }
    ],
    storage=[BATTERY],
)
PLAN = solve(CASE)


def kinds(plan, case=CASE):
    return {violation.kind for violation in verify(case, plan)}


def with_bus(**changes):
    return replace(PLAN, vehicles={"bus": replace(PLAN.vehicles["bus"], **changes)})


def bump(values, step, amount):
    changed = np.array(values)
    changed[step] += amount
    return changed


def test_the_plan_is_sound():
    assert verify(CASE, PLAN) == []


@pytest.mark.parametrize(
    ("series", "step", "amount", "expected"),
    [
        ("charge_kw", 1, 10.0, {"charge", "soc", "node", "balance"}),
        ("charge_kw", 0, -1.0, {"sign", "soc", "balance"}),
        ("charge_kw", 4, 1.0, {"away", "soc", "balance"}),
        ("discharge_kw", 1, 1.0, {"both_ways", "soc", "balance"}),
        ("discharge_kw", 0, 16.0, {"discharge", "soc", "balance", "cost"}),
        ("discharge_kw", 0, 40.0, {"charger", "floor", "min_soc", "node"}),
        ("charge_kw", 0, 60.0, {"charger", "max_soc"}),
        ("soc", 2, 0.01, {"soc"}),
        ("soc", 4, -0.05, {"target", "soc"}),
    ],
)
def test_tampered_powers_are_found(series, step, amount, expected):
    changed = bump(getattr(PLAN.vehicles["bus"], series), step, amount)
    assert expected <= kinds(with_bus(**{series: changed}))


@pytest.mark.parametrize(
    ("series", "step", "amount", "expected"),
    [
        ("import_kw", 0, 200.0, {"balance", "import_limit", "cost", "peak"}),
        ("import_kw", 0, -50.0, {"sign"}),
        ("export_kw", 0, 1.0, {"export_limit", "both_ways", "balance"}),
        ("solar_used_kw", 0, 1.0, {"solar", "balance"}),
    ],
)
def test_tampered_flows_are_found(series, step, amount, expected):
    changed = replace(PLAN.site, **{series: bump(getattr(PLAN.site, series), step, amount)})
    assert expected <= kinds(replace(PLAN, site=changed))


def test_sun_that_cannot_be_curtailed_must_be_used():
    case = replace(CASE, site=replace(CASE.site, solar_curtailable=False))
    unused = replace(PLAN.site, solar_used_kw=np.zeros(5))
    assert "solar" in kinds(replace(PLAN, site=unused), case)


def test_wrong_money_is_found():
    for part in ("energy_import", "energy_export", "wear", "programmes", "total"):
        cost = replace(PLAN.cost, **{part: getattr(PLAN.cost, part) + 0.1})
        assert kinds(replace(PLAN, cost=cost)) == {"cost"}
    assert kinds(replace(PLAN, cost=replace(PLAN.cost, demand={}))) == {"cost"}
    assert kinds(replace(PLAN, objective=PLAN.objective + 0.1)) == {"cost"}
    assert kinds(replace(PLAN, bound=PLAN.objective + 0.1)) == {"bound"}
    assert kinds(replace(PLAN, demand_peaks={})) == {"peak"}


def test_a_plan_for_other_assets_is_refused():
    assert kinds(replace(PLAN, vehicles={})) == {"vehicles"}
    assert kinds(replace(PLAN, storage={})) == {"storage"}


def test_wrong_shortfalls_are_found():
    invented = Shortfall("bus", 4, 0.9, 0.8, 4.0, "must", "site limit")
    assert kinds(replace(PLAN, shortfalls=(invented,))) == {"target"}
    wrong = Shortfall("bus", 4, 0.8, 0.7, 4.0, "must", "site limit")
    assert kinds(replace(PLAN, shortfalls=(wrong,))) == {"target"}
    case = small(vehicles__0__targets=[must(0, 0.6)])
    plan = solve(case)
    assert kinds(replace(plan, shortfalls=()), case) == {"target"}
    nameless = replace(plan.shortfalls[0], cause="")
    assert kinds(replace(plan, shortfalls=(nameless,)), case) == {"target"}


def test_an_excess_must_be_named_and_not_be_the_plans_own():
    case = small(site__import_limit_kw=5, vehicles__0__v2g=False)
    plan = solve(case)
    assert verify(case, plan) == []
    assert kinds(replace(plan, exceeded_limits=()), case) == {"import_limit"}
    own = replace(plan.vehicles["bus"], charge_kw=np.array([1.0, 0, 0, 0]))
    assert "import_limit" in kinds(replace(plan, vehicles={"bus": own}), case)


def test_a_named_start_above_the_maximum_does_not_excuse_charging():
    case = small(vehicles__0__initial_soc=1.0, vehicles__0__v2g=False)
    plan = solve(case)
    assert verify(case, plan) == []
    assert kinds(replace(plan, exceeded_limits=()), case) == {"max_soc"}
    named = (ExceededLimit("max_soc", "bus", 0, 5, 9.9, "kWh", "starts above its maximum"),)
    bus = replace(plan.vehicles["bus"], charge_kw=np.array([1.0, 0, 0, 0]))
    assert "max_soc" in kinds(replace(plan, vehicles={"bus": bus}, exceeded_limits=named), case)


def test_another_charger_is_found():
    assert kinds(with_bus(charger="c9")) == {"charger"}
