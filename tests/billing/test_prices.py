"""Prices for the planner: what the bill will charge, and the peaks that this month has already set."""

from __future__ import annotations

from datetime import date

import pytest

from billing.models import Bill, KnownPeak
from billing.selectors.prices import prices_for
from depot.models import Depot
from depot.timegrid import TimeGrid, month_bounds
from tests.billing.money import DOCUMENT, at_local, fill, make_tariff, month_grid

DAY = date(2026, 3, 10)
pytestmark = pytest.mark.django_db


def horizon(depot: Depot, day: date = DAY, steps: int = 96) -> TimeGrid:
    return TimeGrid(at_local(depot, day, 0), 15, steps)


def test_each_step_has_its_price_and_the_demand_charge_its_window(depot: Depot) -> None:
    make_tariff(depot)
    grid = horizon(depot)
    prices = prices_for(depot, grid, grid.start_at)
    assert prices.import_per_kwh == [0.1] * 64 + [0.3] * 20 + [0.1] * 12
    assert prices.export_per_kwh == [0.05] * 96
    [charge] = prices.demand_charges
    assert charge["id"] == "demand_flat.d.all"
    assert (charge["price_per_kw"], charge["billed_kw_so_far"], sum(charge["window"])) == (10.0, [0.0], 96)
    assert prices.demand_labels == {"demand_flat.d.all": "Demand"}
    assert prices.warnings == {}


def test_the_peak_of_this_month_is_paid_already_and_that_of_the_last_is_not(depot: Depot) -> None:
    make_tariff(depot)
    month = month_grid(depot, DAY)
    fill(depot, TimeGrid(month.time_of(-4), 15, 4), 300)
    fill(depot, TimeGrid(month.start_at, 15, 96), [80.0] * 50 + [120.0] + [80.0] * 45)
    grid = horizon(depot, date(2026, 3, 2))
    [charge] = prices_for(depot, grid, grid.start_at).demand_charges
    assert charge["billed_kw_so_far"] == [120.0]


def test_a_horizon_over_the_end_of_the_month_has_two_periods(depot: Depot) -> None:
    make_tariff(depot)
    fill(depot, TimeGrid(at_local(depot, date(2026, 3, 30), 0), 15, 96), 90)
    grid = horizon(depot, date(2026, 3, 31), 192)
    [charge] = prices_for(depot, grid, grid.start_at).demand_charges
    assert charge["billed_kw_so_far"] == [90.0, 0.0]
    assert charge["period"] == [0] * 96 + [1] * 96


def test_without_a_usable_tariff_power_is_free_and_that_is_said(depot: Depot) -> None:
    grid = horizon(depot, steps=4)
    none = prices_for(depot, grid, grid.start_at)
    assert (none.import_per_kwh, none.demand_charges) == ([0.0] * 4, [])
    assert "No tariff is valid today" in none.warnings["no tariff"]
    make_tariff(depot, definition=DOCUMENT | {"energy": [{"id": "e", "label": "E", "series": {"factor": 1}}]})
    refused = prices_for(depot, grid, grid.start_at)
    assert refused.export_per_kwh == [0.0] * 4
    assert "Tariff EV cannot be used" in refused.warnings["tariff not usable"]


def test_what_is_simplified_is_no_warning(depot: Depot) -> None:
    steps = [{"up_to": 100, "amount": 500}, {"amount": 900}]
    demand = [DOCUMENT["demand"][0] | {"prices": [{"id": "all", "steps": steps}]}]
    make_tariff(depot, definition=DOCUMENT | {"demand": demand})
    prices = prices_for(depot, horizon(depot), horizon(depot).start_at)
    assert prices.warnings == {}
    assert prices.remarks == ["Demand: the fee rises in steps; the plan takes the straight lines below them."]


def test_prices_take_few_queries(depot: Depot, django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    make_tariff(depot)
    fill(depot, TimeGrid(month_grid(depot, DAY).start_at, 15, 200), 50)
    grid = horizon(depot)
    with django_assert_max_num_queries(3):
        prices_for(depot, grid, grid.start_at)


def test_a_new_tariff_counts_from_its_first_day_inside_the_horizon(depot: Depot) -> None:
    make_tariff(depot)
    dear = {"id": "d", "label": "Demand", "prices": [{"id": "all", "price_per_kw": 25}]}
    flat = [{"id": "e", "label": "Energy", "prices": [{"id": "all", "price_per_kwh": 0.2}]}]
    make_tariff(depot, date(2026, 3, 11), name="EV-2", energy=flat, demand=[dear])
    fill(depot, TimeGrid(at_local(depot, date(2026, 3, 9), 0), 15, 96), 90)
    grid = horizon(depot, steps=192)

    prices = prices_for(depot, grid, grid.start_at)

    assert prices.import_per_kwh == [0.1] * 64 + [0.3] * 20 + [0.1] * 12 + [0.2] * 96
    today, tomorrow = prices.demand_charges
    assert (today["window"], today["billed_kw_so_far"]) == ([1] * 96 + [0] * 96, [90.0])
    assert (tomorrow["window"], tomorrow["billed_kw_so_far"]) == ([0] * 96 + [1] * 96, [0.0])
    # ten days of the month by the old price, 21 by the new one
    assert today["price_per_kw"] == pytest.approx(10 * 10 / 31)
    assert tomorrow["price_per_kw"] == pytest.approx(25 * 21 / 31)
    assert prices.warnings == {}


def test_a_tariff_that_ends_without_a_next_one_goes_on_and_that_is_said(depot: Depot) -> None:
    make_tariff(depot, valid_to=DAY)
    grid = horizon(depot, steps=192)
    prices = prices_for(depot, grid, grid.start_at)
    assert prices.import_per_kwh[96:] == prices.import_per_kwh[:96]
    assert list(prices.warnings.values()) == [
        "No tariff is valid on 2026-03-11: the plan goes on with EV (from 2026-01-01)."
    ]


def test_a_ratchet_looks_back_on_bills_and_on_the_running_month(
    depot: Depot,
    django_assert_max_num_queries,  # type: ignore[no-untyped-def]
) -> None:
    site = {"id": "d", "label": "Demand", "ratchet": {"percent": 80}}
    row = make_tariff(depot, demand=[site | {"prices": [{"id": "all", "price_per_kw": 10}]}])
    start_at, end_at = month_bounds(date(2026, 1, 1), depot.tz)
    for scenario, kw in (("actual", "200.000"), ("unmanaged", "390.000")):
        Bill.objects.create(
            depot=depot, tariff=row, scenario=scenario, start_at=start_at, end_at=end_at, covered_to=end_at,
            state="final", currency="USD", total=1, computed_at=end_at, closed_at=end_at,
            peaks_kw={"demand_flat.d.all": {"kw": kw, "at": start_at.isoformat()}, "gone": {"kw": "999"}},
        )  # fmt: skip
    fill(depot, TimeGrid(at_local(depot, date(2026, 3, 30), 0), 15, 96), 300)
    grid = horizon(depot, date(2026, 3, 31), 192)

    with django_assert_max_num_queries(6):
        [charge] = prices_for(depot, grid, grid.start_at).demand_charges

    assert charge["billed_kw_so_far"] == [300.0, 240.0]  # March itself, April by 80 % of it
    KnownPeak.objects.create(depot=depot, charge="d", month=date(2025, 12, 1), kw=400)
    [charge] = prices_for(depot, grid, grid.start_at).demand_charges
    assert charge["billed_kw_so_far"] == [320.0, 320.0]  # what was entered for December counts too


def test_a_version_that_began_this_month_costs_its_share_and_its_own_peaks_count(depot: Depot) -> None:
    make_tariff(depot)
    make_tariff(depot, date(2026, 3, 5), name="EV-2")
    fill(depot, TimeGrid(at_local(depot, date(2026, 3, 4), 0), 15, 96), 95)
    fill(depot, TimeGrid(at_local(depot, date(2026, 3, 5), 0), 15, 96), 70)
    grid = horizon(depot)
    [charge] = prices_for(depot, grid, grid.start_at).demand_charges
    assert charge["price_per_kw"] == pytest.approx(10 * 27 / 31)
    assert charge["billed_kw_so_far"] == [70.0]


def test_a_kwh_has_the_price_of_the_tier_that_the_month_has_reached(depot: Depot) -> None:
    tiers = [{"up_to": 1000, "price_per_kwh": 0.1}, {"price_per_kwh": 0.3}]
    make_tariff(depot, energy=[{"id": "e", "label": "E", "prices": [{"id": "all", "tiers": tiers}]}])
    grid = horizon(depot, steps=4)
    assert prices_for(depot, grid, grid.start_at).import_per_kwh == [0.1] * 4
    fill(depot, TimeGrid(at_local(depot, date(2026, 3, 9), 0), 15, 96), 50)
    assert prices_for(depot, grid, grid.start_at).import_per_kwh == [0.3] * 4
