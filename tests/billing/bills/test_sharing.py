"""A bill shared among vehicles and the site: by the rule, and to the cent."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.bills.sharing import LineToShare, Use, share_bill, split

D = Decimal
LINES = [
    LineToShare("energy.on", "energy", D("120.00")),
    LineToShare("export", "energy", D("-20.00")),
    LineToShare("demand_flat", "demand", D("90.00"), peak_kw=90.0),
    LineToShare("fixed", "other", D("30.00")),
]


def test_each_kind_of_line_is_shared_by_its_rule() -> None:
    uses = {
        1: Use(200.0, 50.0, D("25.004"), {"demand_flat": 30.0}),
        2: Use(100.0, 0.0, D("18"), {"demand_flat": -9.0}),
    }
    shared = share_bill(LINES, uses, building_kwh=300.0, currency="USD")
    one, two = shared.vehicles[1], shared.vehicles[2]
    assert (one.energy, one.demand, one.other) == (D("25.00"), D("30.00"), D("10.00"))
    assert (two.energy, two.demand, two.other) == (D("18.00"), D("-9.00"), D("5.00"))
    assert (shared.site.energy, shared.site.demand, shared.site.other) == (D("57.00"), D("69.00"), D("15.00"))
    assert shared.total == D("220.00")


@pytest.mark.parametrize("peak_kw", [None, 0.0])
def test_a_peak_of_which_nothing_is_known_is_shared_by_kwh(peak_kw: float | None) -> None:
    lines = [LineToShare("demand", "demand", D("90.00"), peak_kw)]
    shared = share_bill(lines, {1: Use(100.0, 0.0, D(0))}, building_kwh=200.0, currency="USD")
    assert shared.vehicles[1].demand == D("30.00")


def test_without_any_use_all_is_the_sites() -> None:
    shared = share_bill(LINES, {1: Use(0.0, 0.0, D(0))}, building_kwh=0.0, currency="USD")
    assert shared.vehicles[1].total == 0 and shared.site.total == D("220.00")


amounts = st.decimals(min_value=-9999, max_value=9999, places=2)
kwh = st.floats(min_value=0, max_value=1e5)


@given(
    lines=st.lists(
        st.builds(
            LineToShare,
            id=st.sampled_from(["energy", "demand_flat", "fixed"]),
            kind=st.sampled_from(["energy", "demand", "other"]),
            amount=amounts,
            peak_kw=st.none() | st.floats(min_value=1, max_value=500),
        ),
        max_size=5,
    ),
    uses=st.dictionaries(
        st.integers(1, 9),
        st.builds(
            Use,
            kwh,
            kwh,
            amounts,
            st.dictionaries(st.just("demand_flat"), st.floats(min_value=-500, max_value=500)),
        ),
        max_size=4,
    ),
    building=kwh,
)
def test_the_parts_are_the_bill_whatever_it_is(
    lines: list[LineToShare], uses: dict[int, Use], building: float
) -> None:
    shared = share_bill(lines, uses, building, "USD")
    assert shared.total == sum((line.amount for line in lines), D(0))


@given(
    amount=amounts,
    weights=st.dictionaries(st.sampled_from("abcd"), st.floats(min_value=0.01, max_value=1e4), min_size=1),
)
def test_a_split_is_the_amount(amount: Decimal, weights: dict[str, float]) -> None:
    assert sum(split(amount, weights, "USD").values()) == amount


def test_a_split_follows_the_weights_and_nobody_weighs_nothing() -> None:
    assert split(D("10.00"), {"a": 1.0, "b": 2.0}, "USD") == {"a": D("3.33"), "b": D("6.67")}
    assert split(D("10.00"), {}, "USD") == {} and split(D("10.00"), {"a": 0.0}, "USD") == {}
