"""Prices for the planner: what the bill will charge, and the peaks that this month has already set."""

from __future__ import annotations

from datetime import date

import pytest

from billing.selectors.prices import prices_for
from depot.models import Depot
from depot.timegrid import TimeGrid
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
    assert prices.warnings == []


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
    assert "No tariff is valid today" in none.warnings[0]
    make_tariff(depot, definition=DOCUMENT | {"energy": [{"id": "e", "label": "E", "series": {"factor": 1}}]})
    refused = prices_for(depot, grid, grid.start_at)
    assert refused.export_per_kwh == [0.0] * 4
    assert "Tariff EV cannot be used" in refused.warnings[0]


def test_prices_take_few_queries(depot: Depot, django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    make_tariff(depot)
    fill(depot, TimeGrid(month_grid(depot, DAY).start_at, 15, 200), 50)
    grid = horizon(depot)
    with django_assert_max_num_queries(3):
        prices_for(depot, grid, grid.start_at)
