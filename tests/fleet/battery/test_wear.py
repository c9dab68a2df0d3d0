"""The price of wear: size, sign, and what must hold whatever the pack."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.battery.cells import CELL_MODELS
from fleet.battery.wear import (
    PackValue,
    band_wear_costs,
    marginal_wear_cost,
    profile_wear_cost,
    standing_cost,
)
from tests.fleet.battery.duties import duty

BUS = PackValue(capacity_kwh=226, price_per_kwh=150)

# Cents per kWh at 25 °C, 150 per kWh, 30 % allowed loss. The published tool gave, for another plain duty
# of the same 86 full cycles a year: LFP 1.1; NMC-A 3.6 to 4.2; NMC622 2.6 to 3.3; NMC111 0.7 to 1.4.
# The bounds leave that a third of room.
RANGES = {"lfp": (1.0, 1.4), "nmc_a": (2.8, 4.3), "nmc622": (2.6, 4.3), "nmc111": (0.6, 1.4)}


@pytest.mark.parametrize("name", RANGES)
def test_marginal_wear_is_of_the_size_that_the_published_tool_gives(name: str) -> None:
    low, high = RANGES[name]
    for swing in (0.1, 0.2, 0.35):
        assert low <= 100 * marginal_wear_cost(name, 25, BUS, swing=swing).cost_per_kwh <= high


@pytest.mark.parametrize("name", RANGES)
def test_deeper_swings_are_never_cheaper_per_kwh(name: str) -> None:
    costs = [marginal_wear_cost(name, 25, BUS, swing=swing).cost_per_kwh for swing in (0.1, 0.2, 0.35)]
    assert costs == sorted(costs)


def test_plain_nmc_costs_what_the_dearer_model_says() -> None:
    both = [marginal_wear_cost(name, 25, BUS) for name in ("nmc111", "nmc622")]
    assert marginal_wear_cost("nmc", 25, BUS) == max(both, key=lambda cost: cost.cost_per_kwh)


@settings(max_examples=15)
@given(st.floats(20, 600), st.floats(0, 500), st.floats(0.1, 0.5))
def test_cost_is_proportional_to_price_and_independent_of_pack_size(
    capacity_kwh: float, price: float, allowed: float
) -> None:
    cost = marginal_wear_cost("lfp", 25, PackValue(capacity_kwh, price, allowed), years=1)
    unit = marginal_wear_cost("lfp", 25, PackValue(1, 1, 1), years=1)
    assert cost.cost_per_kwh == pytest.approx(unit.cost_per_kwh * price / allowed)
    assert cost.loss_per_kwh * capacity_kwh == pytest.approx(unit.loss_per_kwh)


def test_bands_have_a_price_each() -> None:
    costs = band_wear_costs("nmc622", 25, BUS, years=3)
    assert len(costs) == 4
    assert all(cost.cost_per_kwh > 0 and cost.model == "nmc622" for cost in costs)
    assert costs[3].cost_per_kwh > costs[0].cost_per_kwh  # this cell suffers more when it is full


@pytest.mark.parametrize("name", CELL_MODELS)
def test_no_band_costs_more_than_the_band_above_it(name: str) -> None:
    """So the planner's bands, whose price may not rise with SoC, are one price for every battery."""
    costs = [cost.cost_per_kwh for cost in band_wear_costs(name, 25, BUS, years=2)]
    assert all(higher >= lower - 1e-12 for lower, higher in pairwise(costs))


def test_standing_full_costs_money_where_the_model_says_so() -> None:
    # 6.6 points in 5 years between 50 and 90 % on a 226 kWh pack are about 0.17 per hour.
    kokam = standing_cost("nmc111", 25, BUS, years=5)
    assert kokam.cost(0.9, 226, 1) == pytest.approx(0.16, abs=0.01)
    assert kokam.cost(0.6, 226, 1) == kokam.cost(0.3, 226, 1) == 0
    assert standing_cost("nmc622", 25, BUS).cost_per_kwh_hour == 0
    assert standing_cost("nmc", 25, BUS).model == "nmc111"


def test_the_mean_cost_of_a_profile() -> None:
    model = CELL_MODELS["lfp"]
    cost = profile_wear_cost(model, duty("v2g", days=7), BUS, years=1)
    assert 0.01 < cost.cost_per_kwh < 0.05
    assert cost.extrapolated
    assert profile_wear_cost(model, duty("rest60", days=7), BUS, years=1).cost_per_kwh == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [((0, 150, 0.3), "positive capacity"), ((226, -1, 0.3), "negative"), ((226, 150, 0), "allowed loss")],
)
def test_impossible_packs_are_refused(values: tuple[float, float, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PackValue(*values)


def test_impossible_swings_and_bands_are_refused() -> None:
    with pytest.raises(ValueError, match="swing"):
        marginal_wear_cost("lfp", 25, BUS, swing=0.9)
    with pytest.raises(ValueError, match="band"):
        band_wear_costs("lfp", 25, BUS, bands=((0.5, 0.5),))
