"""A tariff as week grids: the price of every hour of every weekday, in each part of the year."""

from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.tariff import price_curve
from billing.tariff.shipped import example_names, example_tariff
from billing.tariff.week import week_grids
from depot.timegrid import local_to_utc
from tests.billing.tariff.examples import tariff

SUMMER = {"id": "summer", "label": "Summer", "months": [6, 7, 8, 9]}


def price(amount: float, **more: object) -> dict[str, object]:
    return {"price_per_kwh": amount} | more


def test_parts_of_the_year_with_equal_prices_are_one_grid() -> None:
    plan = tariff(
        seasons=[SUMMER],
        energy=[
            {"id": "e", "label": "E", "prices": [
                price(0.4, id="on", when=[{"seasons": ["summer"], "days": ["weekday"], "hours": ["16:30-21:00"]}]),
                price(0.1, id="off"),
            ]},
            {"id": "d", "label": "D", "prices": [price(0.05, id="all")]},
        ],
        demand=[{"id": "d", "label": "D", "prices": [
            {"id": "on", "price_per_kw": 12, "when": [{"seasons": ["summer"], "hours": ["16:30-21:00"]}]}]}],
    )  # fmt: skip
    winter, summer = week_grids(plan, 2026)
    assert winter.spans == ((date(2026, 1, 1), date(2026, 5, 31)), (date(2026, 10, 1), date(2026, 12, 31)))
    assert summer.spans == ((date(2026, 6, 1), date(2026, 9, 30)),)
    assert summer.slot_minutes == 30
    monday, saturday = summer.per_kwh[0], summer.per_kwh[5]
    assert monday == (Decimal("0.15"),) * 33 + (Decimal("0.45"),) * 9 + (Decimal("0.15"),) * 6
    assert set(saturday) == {Decimal("0.15")}
    assert summer.per_kw[6] == (Decimal(0),) * 33 + (Decimal(12),) * 9 + (Decimal(0),) * 6
    assert {price for day in winter.per_kw for price in day} == {Decimal(0)}


def test_riders_tiers_yearly_and_daily_demand() -> None:
    plan = tariff(
        energy=[
            {"id": "r", "label": "R", "monthly": {"2026-01": 0.01, "2026-07": 0.02}},
            {"id": "t", "label": "T", "prices": [
                {"id": "a", "tiers": [{"up_to": 100, "price_per_kwh": 0.1}, {"price_per_kwh": 0.3}]}]},
        ],
        demand=[
            {"id": "y", "label": "Y", "per": "year", "prices": [{"id": "a", "price_per_kw": 120}]},
            {"id": "d", "label": "D", "per": "day", "prices": [{"id": "a", "price_per_kw": 1}]},
        ],
    )  # fmt: skip
    first, second = week_grids(plan, 2026)
    assert (first.per_kwh[0][0], second.per_kwh[0][0]) == (Decimal("0.11"), Decimal("0.12"))
    assert second.spans == ((date(2026, 7, 1), date(2026, 12, 31)),)
    assert first.per_kw[0][0] == Decimal(10)


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(["us-sce-ev", "us-pge-bev", "us-urdb-tou", "us-urdb-ratchet"]),
    st.dates(date(2026, 1, 5), date(2026, 12, 20)),
)
def test_a_grid_says_what_the_price_curve_says(name: str, day: date) -> None:
    plan = example_tariff(name)
    holidays = set(plan.holidays) | {
        date(2026, number // 100, number % 100) for number in plan.recurring_holidays
    }
    if day in holidays or any(tax.per_kwh or not tax.on for tax in plan.taxes):
        return
    [grid] = [g for g in week_grids(plan, 2026) if any(first <= day <= last for first, last in g.spans)]
    zone = ZoneInfo(plan.time_zone or "America/Los_Angeles")
    curve = price_curve(
        plan,
        local_to_utc(day, 720, zone),
        24 * 60 // 2 // grid.slot_minutes,
        grid.slot_minutes,
        time_zone=zone,
    )
    afternoon = grid.per_kwh[day.weekday()][720 // grid.slot_minutes :]
    assert [round(float(price), 9) for price in afternoon] == [
        round(float(p), 9) for p in curve.import_per_kwh
    ]


def test_every_shipped_example_has_grids() -> None:
    for name in example_names():
        grids = week_grids(example_tariff(name), 2026)
        assert sum((last - first).days + 1 for grid in grids for first, last in grid.spans) == 365, name
