"""Whole tariffs: what is written reads back equal, and every element at once is billed quickly."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.tariff import bill, make_load, read_tariff, to_document
from billing.tariff.text import write_yaml
from tests.billing.tariff.examples import document

ONE = [{"id": "all", "price_per_kw": 1}]

# Round trip


prices = st.decimals(0, 1000, places=5)
tiers = st.lists(prices, min_size=1, max_size=3)


def tier_rows(values: list[Decimal], name: str) -> list[dict[str, Any]]:
    limits: list[dict[str, Any]] = [{"up_to": 10 * (n + 1)} for n in range(len(values) - 1)]
    return [limit | {name: str(value)} for limit, value in zip([*limits, {}], values, strict=True)]


def energy_of(values: list[Decimal]) -> list[dict[str, Any]]:
    return [{"id": "e", "label": "E", "prices": [{"id": "a", "tiers": tier_rows(values, "price_per_kwh")}]}]


def demand_of(values: list[Decimal], highest: int, least: float, stepped: bool) -> list[dict[str, Any]]:
    name = "amount" if stepped else "price_per_kw"
    row = {"id": "a", "steps" if stepped else "tiers": tier_rows(values, name)}
    rule = {"ratchet": {"percent": 80, "months": [6, 7]}} if stepped else {"mean_of_periods": 4}
    return [{"id": "d", "label": "D", "highest": highest, "least_kw": least, "prices": [row]} | rule]


def subscription_of(price: Decimal, over: bool) -> list[dict[str, Any]]:
    overage = {"overage": {"price_per_kw": 2, "hourly_sum": True, "count": 10}} if over else {}
    charge = {"id": "s", "label": "S", "price_per_block": str(price), "block_kw": 50, "subscribed_kw": 100}
    return [charge | overage]


def tax_of(value: Decimal, discount: bool) -> list[dict[str, Any]]:
    priced = {"percent": str(-value), "but_not": ["tax"]} if discount else {"per_kwh": str(value)}
    return [{"id": "t", "label": "T"} | priced]


EXPORTS = [
    {"method": "net_metering", "true_up_month": 4, "true_up_price_per_kwh": 0.03},
    {
        "method": "buy_all_sell_all",
        "prices": [{"id": "a", "price_per_kwh": -0.1}],
        "carry_credit": True,
    },
    {"method": "net_billing_hourly"},
]
documents = st.fixed_dictionaries(
    {
        "energy": st.builds(energy_of, tiers),
        "demand": st.builds(
            demand_of, tiers, st.sampled_from([1, 3]), st.sampled_from([0, 2.5]), st.booleans()
        ),
        "subscriptions": st.builds(subscription_of, prices, st.booleans()),
        "export": st.sampled_from(EXPORTS),
        "reactive": st.sampled_from([{"price_per_kvarh": 0.01}, {"price_per_kvar": 2, "free_per_kw": 0.484}]),
        "taxes": st.builds(tax_of, prices, st.booleans()),
        "proration": st.sampled_from([{}, {"standard_days": 31, "whole_from_days": 26, "whole_to_days": 36}]),
    }
)


@settings(max_examples=25, deadline=None)
@given(documents)
def test_what_is_written_is_read_back_equal(more: dict[str, Any]):
    plan = read_tariff(document(**more))
    written = to_document(plan)
    assert read_tariff(json.dumps(written)) == read_tariff(write_yaml(written)) == plan


# Everything at once


EVERYTHING = document(
    time_zone="America/New_York",
    seasons=[{"id": "summer", "months": [6, 7, 8, 9]}],
    events=[{"id": "cpp", "days": ["2025-07-01"]}],
    holidays=["07-04"],
    energy=[
        {
            "id": "e",
            "label": "E",
            "tier_basis": "kwh_per_kw",
            "tier_demand": "site",
            "prices": [
                {
                    "id": "peak",
                    "tiers": [{"up_to": 200, "price_per_kwh": 0.3}, {"price_per_kwh": 0.2}],
                    "when": [{"days": ["weekday"], "seasons": ["summer"], "hours": ["16:30-21:00"]}],
                },
                {"id": "rest", "tiers": [{"up_to": 200, "price_per_kwh": 0.1}, {"price_per_kwh": 0.05}]},
            ],
        },
        {
            "id": "cpp",
            "label": "CPP",
            "prices": [
                {
                    "id": "called",
                    "price_per_kwh": 0.5,
                    "when": [{"events": ["cpp"], "hours": ["16:00-21:00"]}],
                },
                {"id": "rest", "price_per_kwh": 0},
            ],
        },
        {"id": "rider", "label": "Rider", "monthly": {f"2025-{month:02d}": 0.01 for month in range(1, 13)}},
    ],
    demand=[
        {"id": "site", "label": "S", "ratchet": {"percent": 80}, "prices": ONE},
        {"id": "daily", "label": "D", "per": "day", "metering_minutes": 30, "prices": ONE},
        {"id": "yearly", "label": "Y", "per": "year", "prices": [{"id": "all", "price_per_kw": 50}]},
        {
            "id": "steps",
            "label": "N",
            "highest": 3,
            "metering_minutes": 60,
            "prices": [{"id": "all", "steps": [{"up_to": 50, "amount": 3}, {"amount": 9}]}],
        },
        {
            "id": "peak",
            "label": "P",
            "prices": [{"id": "all", "price_per_kw": 9, "when": [{"hours": ["16:00-21:00"]}]}],
        },
    ],
    subscriptions=[
        {
            "id": "s",
            "label": "S",
            "price_per_block": 1,
            "subscribed_kw": 50,
            "overage": {"price_per_kw": 1, "hourly_sum": True},
        }
    ],
    reactive={"price_per_kvar": 1},
    export={"method": "net_billing_hourly", "prices": [{"id": "all", "price_per_kwh": 0.05}]},
    taxes=[{"id": "duty", "label": "D", "per_kwh": 0.01}, {"id": "vat", "label": "V", "percent": 20}],
    minimum_bill={"amount": 5},
)


def busy_year() -> Any:
    rng = np.random.default_rng(1)
    power, export, kvar = (rng.gamma(shape, scale, 35040) for shape, scale in ((4, 40), (0.5, 20), (4, 10)))
    return make_load(datetime(2025, 1, 1, 5, tzinfo=UTC), 15, power, export, reactive_kvar=kvar)


def test_two_versions_of_equal_prices_are_one_tariff():
    plan, power = read_tariff(EVERYTHING), busy_year()
    versions = [replace(plan, valid_from=date(2025, month, 1)) for month in (1, 6)]
    whole, parts = bill(plan, power), bill(versions, power)
    assert [period.lines for period in whole.periods] == [period.lines for period in parts.periods]
