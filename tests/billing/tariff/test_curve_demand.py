"""Every kind of demand charge in the planner's form: it costs there what the bill will say."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from billing.tariff import (
    LoadError,
    Used,
    bill,
    demand_case,
    make_load,
    peaks_so_far,
    price_curve,
    taken_as_convex,
)
from charging.planner.case import case_from_json
from tests.billing.tariff.examples import tariff

START = datetime(2025, 7, 10, tzinfo=UTC)
FREE = [{"id": "e", "label": "E", "prices": [{"id": "all", "price_per_kwh": 0}]}]


def site(**more: Any) -> dict[str, Any]:
    charge = {"id": "site", "label": "Site", "metering_minutes": 60}
    prices = [{"id": "all", "price_per_kw": 10}]
    return {"energy": FREE, "demand": [charge | {"prices": prices} | more]}


def cost(case: list[dict[str, Any]], power: np.ndarray) -> float:
    """Return what the case's charges cost by INTERFACES section 2: price x what rises above the billed kW."""
    total = 0.0
    for row in case:
        tiers = row.get("tiers") or [{"from_kw": 0.0, "price_per_kw": row["price_per_kw"]}]
        edges = [*(tier["from_kw"] for tier in tiers), np.inf]
        for period, billed in enumerate(row["billed_kw_so_far"]):
            inside = (np.array(row["period"]) == period) & (np.array(row["window"]) == 1)
            peak = max(float(power[inside].max(initial=0.0)), billed)
            for tier, (low, high) in zip(tiers, pairwise(edges), strict=True):
                total += tier["price_per_kw"] * (np.clip(peak, low, high) - np.clip(billed, low, high))
    return total


EXACT = {
    "plain": site(),
    "tiers": site(prices=[{"id": "a", "tiers": [{"up_to": 60, "price_per_kw": 4}, {"price_per_kw": 9}]}]),
    "least": site(least_kw=45),
    "ratchet": site(ratchet={"percent": 50}),
    "daily": site(per="day"),
    "yearly": site(per="year"),
    "blocks": {"energy": FREE, "subscriptions": [
        {"id": "s", "label": "S", "price_per_block": 50, "block_kw": 1, "metering_minutes": 60}]},
    "overage": {"energy": FREE, "subscriptions": [
        {"id": "s", "label": "S", "price_per_block": 5, "block_kw": 20, "subscribed_kw": 40,
         "metering_minutes": 60, "overage": {"price_per_kw": 7}}]},
    "hourly": {"energy": FREE, "subscriptions": [
        {"id": "s", "label": "S", "price_per_block": 5, "subscribed_kw": 40, "metering_minutes": 60,
         "overage": {"price_per_kw": 7, "hourly_sum": True}}]},
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_the_plan_costs_what_the_bill_adds(name: str):
    plan = tariff(**EXACT[name])
    rng = np.random.default_rng(7)
    before = rng.integers(10, 50, 9 * 24).astype(float)
    horizon = rng.integers(30, 90, 48).astype(float)
    history = {"site": {date(2025, 6, 1): Decimal(84), date(2025, 5, 1): Decimal(62)}}
    first = datetime(2025, 7, 1, tzinfo=UTC)
    so_far = make_load(first, 60, before)

    curve = price_curve(plan, START, 48, 60, history=history)
    case = demand_case(curve, peaks_so_far(plan, so_far))

    idle = bill(plan, make_load(first, 60, [*before, *[0.0] * 48]), history=history)
    busy = bill(plan, make_load(first, 60, [*before, *horizon]), history=history)
    added = float(busy.total - idle.total)
    if (
        name == "yearly"
    ):  # this month's bill holds 3 of the year's twelfths (May, June, July); the plan all 12
        added *= 12 / 3
    assert cost(case, horizon) == pytest.approx(added, abs=0.02)


def test_a_mean_of_the_highest_days_costs_a_share_of_each_day():
    plan = tariff(**site(highest=3))
    before = np.zeros(9 * 24)
    before[[5, 30, 60, 90]] = [50, 40, 30, 20]
    first = datetime(2025, 7, 1, tzinfo=UTC)
    peaks = peaks_so_far(plan, make_load(first, 60, before))

    (row,) = demand_case(price_curve(plan, START, 48, 60), peaks)

    assert row["price_per_kw"] == pytest.approx(10 / 3)
    assert row["billed_kw_so_far"] == [30, 30]
    assert row["period"] == [0] * 24 + [1] * 24


def test_a_step_fee_is_the_convex_function_below_it():
    steps = [
        {"up_to": 10, "amount": 20},
        {"up_to": 20, "amount": 60},
        {"up_to": 40, "amount": 80},
        {"amount": 300},
    ]
    plan = tariff(**site(prices=[{"id": "all", "steps": steps}]))

    (row,) = demand_case(price_curve(plan, START, 24, 60))

    # free up to 10 kW, then from (10, 20) to (40, 80) in one line: the corner at 20 kW lies above it
    assert row["price_per_kw"] == 0
    assert row["tiers"] == [{"from_kw": 0, "price_per_kw": 0}, {"from_kw": 10, "price_per_kw": 2}]
    assert taken_as_convex(price_curve(plan, START, 24, 60)) == [
        "Site: the fee rises in steps; the plan takes the straight lines below them."
    ]


def test_falling_tiers_have_the_price_that_is_reached():
    plan = tariff(
        **site(prices=[{"id": "a", "tiers": [{"up_to": 60, "price_per_kw": 9}, {"price_per_kw": 4}]}])
    )
    curve = price_curve(plan, START, 24, 60)
    reached = peaks_so_far(plan, make_load(datetime(2025, 7, 1, tzinfo=UTC), 60, [70.0, 10.0]))

    assert [row["price_per_kw"] for row in demand_case(curve)] == [9]
    (row,) = demand_case(curve, reached)
    assert (row["price_per_kw"], "tiers" in row) == (4, False)
    assert taken_as_convex(curve) == [
        "Site: a kW gets cheaper the more are drawn; the plan takes the price reached so far."
    ]


def test_what_is_not_convex_is_said_once_by_name_and_nothing_else():
    blocks = [{"id": "power", "label": "Power", "price_per_block": 95, "block_kw": 50}]
    plans = [
        tariff(subscriptions=blocks),
        tariff(subscriptions=[{**blocks[0], "block_kw": 1}]),
        tariff(**site()),
    ]
    assert [taken_as_convex(price_curve(plan, START, 24, 60)) for plan in plans] == [
        ["Power: power is sold in whole blocks; the plan takes a kW's share of a block."],
        [],
        [],
    ]


def test_versions_are_joined_at_midnight():
    old = tariff(**site(), valid_to="2025-07-10")
    new = tariff(
        valid_from="2025-07-11",
        energy=[{"id": "e", "label": "E", "prices": [{"id": "all", "price_per_kwh": 0.3}]}],
        demand=[
            {
                "id": "site",
                "label": "Site",
                "metering_minutes": 60,
                "prices": [{"id": "all", "price_per_kw": 31}],
            }
        ],
    )

    curve = price_curve([new, old], START, 48, 60)

    assert curve.import_per_kwh.tolist() == [0] * 24 + [0.3] * 24
    first, second = demand_case(curve)
    assert (first["id"], second["id"]) == ("demand_flat.site.all", "demand_flat.site.all@2025-07-11")
    assert (first["price_per_kw"], second["price_per_kw"]) == pytest.approx((10 * 10 / 31, 31 * 21 / 31))
    assert (sum(first["window"][:24]), sum(first["window"])) == (24, 24)
    assert (sum(second["window"][24:]), sum(second["window"])) == (24, 24)
    with pytest.raises(LoadError, match="none is valid on 2025-07-11"):
        price_curve([old, tariff(valid_from="2025-08-01")], START, 48, 60)


def test_prices_per_kwh_of_tiers_riders_duties_and_announced_hours():
    plan = tariff(
        energy=[
            {
                "id": "e",
                "label": "E",
                "prices": [
                    {"id": "all", "tiers": [{"up_to": 100, "price_per_kwh": 0.1}, {"price_per_kwh": 0.2}]}
                ],
            },
            {"id": "rider", "label": "R", "monthly": {"2025-06": 0.01, "2025-07": 0.02}},
        ],
        coincident=[
            {
                "id": "cp",
                "label": "CP",
                "price_per_kw": 6,
                "moments": ["2025-07-31T22:00:00Z", "2025-07-31T23:00:00Z"],
            }
        ],
        taxes=[
            {"id": "duty", "label": "Duty", "per_kwh": 0.05},
            {"id": "vat", "label": "VAT", "percent": 10},
        ],
    )
    late = datetime(2025, 7, 31, 21, tzinfo=UTC)

    prices = price_curve(plan, late, 4, 60, used=Used(import_kwh=150)).import_per_kwh

    # July: second tier 0.2 + 0.02 + 0.05; August starts in the first tier and keeps the last known rider
    assert prices.tolist() == pytest.approx([0.297, 0.297 + 3.3, 0.297 + 3.3, 0.187])
    assert price_curve(plan, late, 1, 60).import_per_kwh.tolist() == pytest.approx([0.187])


@pytest.mark.parametrize("basis", ["kwh_per_day", "kwh_per_kw", "kwh_per_kw_per_day"])
def test_tiers_by_day_and_kw_count_what_is_used(basis: str):
    rows = [{"id": "all", "tiers": [{"up_to": 2, "price_per_kwh": 0.1}, {"price_per_kwh": 0.2}]}]
    plan = tariff(energy=[{"id": "e", "label": "E", "tier_basis": basis, "prices": rows}])
    limit = 2 * {"kwh_per_day": 10, "kwh_per_kw": 50, "kwh_per_kw_per_day": 500}[basis]

    def price(kwh: float) -> float:
        return float(price_curve(plan, START, 1, 60, used=Used(kwh, 50)).import_per_kwh[0])

    assert (price(limit - 1), price(limit + 1)) == (0.1, 0.2)


def test_the_planner_takes_the_case():
    tiers = [{"up_to": 60, "price_per_kw": 4}, {"price_per_kw": 9}]
    tiered, daily = site(prices=[{"id": "a", "tiers": tiers}]), site(per="day")
    many = [plan["demand"][0] | {"id": f"c{n}"} for n, plan in enumerate((site(), tiered, daily))]
    charges = demand_case(price_curve(tariff(energy=FREE, demand=many), START, 48, 60))
    case = {
        "version": 1, "name": "x", "start": START.isoformat(), "step_minutes": 60, "steps": 48, "currency": "USD",
        "site": {"import_limit_kw": 100, "export_limit_kw": 0, "building_load_kw": 1, "solar_kw": 0},
        "prices": {"import_per_kwh": 0.1, "export_per_kwh": 0},
        "demand_charges": [{k: v for k, v in row.items() if k != "label"} for row in charges],
        "chargers": [], "vehicles": [],
    }  # fmt: skip
    assert [len(charge.tiers) for charge in case_from_json(case).demand_charges] == [0, 2, 0]
