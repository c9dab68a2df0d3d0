"""Wear that costs more the emptier the battery is: the price of a path, plans by it, words, and the check."""

import pytest
from hypothesis import HealthCheck, given, settings

from charging.planner import search
from charging.planner.case import case_from_json
from charging.planner.devices import problem_of
from charging.planner.plan import plan_from_json, plan_to_json
from charging.planner.reference import solve_reference
from charging.planner.solve import solve
from charging.planner.verify import verify
from charging.planner.verify_physics import banded_wear
from tests.charging.planner.cases import returning_depots
from tests.charging.planner.featured import EXAMPLES, wear_bands
from tests.charging.planner.small import document, small
from tests.charging.planner.test_properties import same_as_the_reference

BANDS = [{"below_soc": 0.4, "cost_per_kwh": 0.2}, {"below_soc": 0.7, "cost_per_kwh": 0.05}]
BANDS += [{"below_soc": 1.0, "cost_per_kwh": 0.01}]


def banded(bands=BANDS, **changes):
    """Return the small depot whose bus wears by bands and may sell what it holds."""
    data = document(**({"site__export_limit_kw": 50, "vehicles__0__max_soc": 1.0} | changes))
    data["vehicles"][0].pop("wear_cost_per_kwh")
    data["vehicles"][0]["wear_bands"] = bands
    return case_from_json(data)


def test_a_dear_band_is_left_alone_and_words_name_the_price_of_the_band():
    case = banded(
        prices={"import_per_kwh": 1.0, "export_per_kwh": 0.1},
        vehicles__0__initial_soc=0.9,
        site__building_load_kw=0,
    )
    plan = solve(case)
    assert plan.vehicles["bus"].soc[-1] == pytest.approx(0.4)
    # 8 kWh between 90 and 70 %, 12 kWh between 70 and 40 %.
    assert plan.cost.wear == pytest.approx(8 * 0.01 + 12 * 0.05)
    assert (verify(case, plan), plan.status) == ([], "optimal")
    (told,) = [item.because for item in plan.explanations["bus"] if item.action == "discharge"][:1]
    assert "wear costs 0.0" in told


def test_a_cheap_band_is_not_emptied_twice():
    """In the linear programme alone, every discharge would have the price of the upper band."""
    case = banded(
        bands=[{"below_soc": 0.6, "cost_per_kwh": 0.3}, {"below_soc": 1.0, "cost_per_kwh": 0.0}],
        prices={"import_per_kwh": [0.2, 0.5, 0.2, 0.5], "export_per_kwh": [0, 0.4, 0, 0.4]},
        vehicles__0__initial_soc=0.2,
    )
    same_as_the_reference(case, share=1e-6)


@pytest.mark.parametrize("prices", [(0.05, 0.05, 0.05), (0.2, 0.05, 0.05)])
def test_bands_of_one_price_are_one_price(prices):
    bands = [item | {"cost_per_kwh": price} for item, price in zip(BANDS, prices, strict=True)]
    case = banded(bands, vehicles__0__min_soc=0.4, vehicles__0__v2g_min_soc=0.45)
    assert problem_of(case).devices.bands == ()
    plain = small(
        site__export_limit_kw=50,
        vehicles__0__max_soc=1.0,
        vehicles__0__min_soc=0.4,
        vehicles__0__v2g_min_soc=0.45,
    )
    assert solve(case).objective == pytest.approx(solve(plain).objective)


def test_throughput_comes_on_top():
    case = banded(
        prices={"import_per_kwh": 1.0, "export_per_kwh": 0.1},
        vehicles__0__throughput=[
            {"up_to_kwh": 4, "price_per_kwh": 0},
            {"up_to_kwh": None, "price_per_kwh": 0.06},
        ],
        vehicles__0__initial_soc=0.9,
        site__building_load_kw=0,
    )
    plan = solve(case)
    # From 70 % on, wear and throughput together cost more than the pay.
    assert plan.vehicles["bus"].soc[-1] == pytest.approx(0.7)
    assert plan.cost.wear == pytest.approx(8 * 0.01 + 4 * 0.06)
    assert verify(case, plan) == []


def test_wrong_wear_is_found():
    case = banded(prices={"import_per_kwh": 1.0, "export_per_kwh": 0.1}, vehicles__0__initial_soc=0.9)
    data = plan_to_json(solve(case))
    data["cost"]["wear"] -= 0.01
    assert "cost" in {item.kind for item in verify(case, plan_from_json(data))}
    assert banded_wear(case, solve(case), case.vehicles[0]) > 0.0


def test_with_many_orders_the_search_ends_sooner_and_says_how_near_it_is(monkeypatch):
    case = banded(
        bands=[{"below_soc": 0.6, "cost_per_kwh": 0.3}, {"below_soc": 1.0, "cost_per_kwh": 0.0}],
        prices={"import_per_kwh": [0.2, 0.5, 0.2, 0.5], "export_per_kwh": [0, 0.4, 0, 0.4]},
        vehicles__0__initial_soc=0.2,
    )
    monkeypatch.setattr(search, "MANY_ORDERS", 0)
    plan, answer = solve(case, gap=0.05), solve_reference(case)
    assert verify(case, plan) == []
    assert plan.bound <= answer.cost + 1e-6
    assert plan.gap <= search.ORDER_SHARE * 0.05
    assert plan.status == ("optimal" if plan.gap <= 0.05 else "feasible")


@settings(
    max_examples=EXAMPLES or 8,
    deadline=None,
    derandomize=EXAMPLES == 0,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(returning_depots(most_vehicles=2), wear_bands())
def test_vehicles_that_return_cost_what_the_reference_says(data, bands):
    for vehicle in data["vehicles"]:
        vehicle.pop("wear_cost_per_kwh")
        vehicle["wear_bands"] = bands
    case = case_from_json(data)
    same_as_the_reference(case, share=1e-4)
    answer = solve_reference(case)
    plan = solve(case)
    assert plan.bound <= answer.cost + 2e-3 + 1e-4 * abs(answer.cost)
