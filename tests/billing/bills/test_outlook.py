"""The projected bill is the bill of the month that really came like its last week; peaks cost what the engine says."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from billing.bills.outlook import Before, continued, cost_of_exceeding, projected, raised
from billing.tariff import LoadSeries, bill, make_load, read_tariff
from tests.billing.money import DOCUMENT

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
HERE = Before(NEW_YORK, {})
MARCH = datetime(2026, 3, 1, 5, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)
BLOCKS = {"id": "s", "label": "Blocks", "price_per_block": 95, "block_kw": 25}


def weekly(start: datetime, steps: int, zone: ZoneInfo = NEW_YORK) -> LoadSeries:
    """A load that is the same each week: by local weekday and hour."""
    local = [(start + index * HOUR).astimezone(zone) for index in range(steps)]
    return make_load(start, 60, [10.0 * at.weekday() + at.hour for at in local])


@pytest.mark.parametrize(("start", "zone"), [(MARCH, NEW_YORK), (datetime(2026, 10, 1, tzinfo=UTC), BERLIN)])
def test_a_week_goes_on_by_the_local_clock_also_when_it_changes(start: datetime, zone: ZoneInfo) -> None:
    whole = weekly(start, 24 * 31, zone)
    so_far = weekly(start, 24 * 20, zone)
    recent = weekly(start + 13 * 24 * HOUR, 24 * 7, zone)
    found = continued(so_far, recent, whole.end_at, zone)
    assert found.steps == whole.steps
    assert np.array_equal(found.import_kw, whole.import_kw)


def test_a_day_and_less_than_a_day_go_on_as_far_as_they_can() -> None:
    day = weekly(MARCH, 24)
    found = continued(day, day, MARCH + 72 * HOUR, NEW_YORK)
    assert np.array_equal(found.import_kw, np.tile(day.import_kw, 3))
    hours = make_load(MARCH, 60, [1.0, 2.0], estimated=[0, 1], import_price_per_kwh=[0.1, 0.2])
    found = continued(hours, hours, MARCH + 5 * HOUR, NEW_YORK)
    assert found.import_kw.tolist() == [1, 2, 1, 2, 1]
    assert found.estimated.tolist() == [False, True, False, True, False]
    assert found.import_price_per_kwh is not None and found.import_price_per_kwh.tolist() == [
        0.1,
        0.2,
        0.1,
        0.2,
        0.1,
    ]
    assert continued(hours, hours, MARCH, NEW_YORK) is hours


def test_the_projected_bill_is_the_bill_of_the_month_that_came() -> None:
    priced = read_tariff(DOCUMENT | {"taxes": [{"id": "vat", "label": "VAT", "percent": 19}]})
    whole = weekly(MARCH, (APRIL - MARCH) // HOUR)
    so_far, recent = weekly(MARCH, 24 * 20), weekly(MARCH + 13 * 24 * HOUR, 24 * 7)
    found = projected([priced], so_far, recent, APRIL, HERE)
    assert found.total == bill(priced, whole).total
    assert [line.id for line in found.periods[0].lines][-1] == "tax.vat"


def charge(**more: Any) -> dict[str, Any]:
    return {
        "id": "d",
        "label": "Demand",
        "metering_minutes": 60,
        "prices": [{"id": "all", "price_per_kw": 10}],
    } | more


@pytest.mark.parametrize(
    ("more", "cost"),
    [
        ({"demand": [charge()]}, "100.00"),
        ({"demand": [charge()], "taxes": [{"id": "vat", "label": "VAT", "percent": 19}]}, "119.00"),
        ({"demand": [charge(highest=2, on_different_days=False)]}, "50.00"),
        ({"demand": [charge(ratchet={"percent": 80, "months_back": 11})]}, "20.00"),
        ({"demand": [charge(metering_minutes=30), charge(id="second")]}, "200.00"),
        (
            {
                "demand": [
                    charge(prices=[{"id": "all", "tiers": [{"up_to": 72, "price_per_kw": 1}, {"price_per_kw": 5}]}])
                ]
            },
            "42.00",
        ),
        ({"demand": [], "subscriptions": [BLOCKS]}, "95.00"),
    ],
    ids=["flat", "tax", "mean of two", "ratchet above it", "two charges", "tiers", "blocks"],
)  # fmt: skip
def test_ten_kilowatts_more_cost_what_the_next_bill_would(more: dict[str, Any], cost: str) -> None:
    """70 kW so far; the ratchet bills 80 % of the 97.5 kW of January: 78 kW. The energy is not in the answer."""
    priced = read_tariff(DOCUMENT | more)
    load = make_load(MARCH, 60, [20, 70, 30, 40], export_kw=[0, 0, 0, 50])
    before = Before(NEW_YORK, {"d": {date(2026, 1, 1): Decimal("97.5")}})
    peaks = bill(priced, load, history=before.history).periods[0].peaks_kw
    costs = cost_of_exceeding([priced], load, peaks, before)
    assert set(costs) == set(peaks) and set(costs.values()) == {Decimal(cost)}


def test_the_peak_is_raised_over_its_whole_metering_interval() -> None:
    load = make_load(MARCH, 15, [10, 20, 30, 40, 50, 60])
    half = raised(load, MARCH + HOUR / 2, 30, 10)
    assert half.import_kw.tolist() == [10, 20, 40, 50, 50, 60]
    hourly = make_load(MARCH, 60, [10, 20])
    assert raised(hourly, MARCH + HOUR * 5 / 4, 15, 5).import_kw.tolist() == [10, 25]
