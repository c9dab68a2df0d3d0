"""Two bills side by side: differences that add up, and suggestions that rest on numbers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from billing.bills.metered import block_peaks, estimated_peak
from billing.bills.reconcile import Facts, Pair, Reconciled, Side, reconcile
from billing.tariff import LoadSeries, make_load

START = datetime(2026, 2, 1, 5, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")
QUARTER = timedelta(minutes=15)


def a_load(**more: Any) -> LoadSeries:
    return make_load(START, 15, [100, 100, 100, 100, 40, 120, 80, 60], **more)


def compared(
    *pairs: Pair, stated: str | None = None, load: LoadSeries | None = None, **more: Any
) -> Reconciled:
    series = load or a_load()
    facts = Facts(series, ZONE, START, series.end_at, "USD", **more)
    entered = sum((pair.theirs.amount for pair in pairs if pair.theirs), Decimal(0))
    return reconcile(pairs, Decimal(stated) if stated else entered, facts)


def side(quantity: str | None, amount: str, unit: str = "kWh") -> Side:
    return Side("Line", None if quantity is None else Decimal(quantity), unit, Decimal(amount))


def kw(ours: str, theirs: str) -> Pair:
    return Pair(
        "demand_flat.d.all",
        side(ours, str(Decimal(ours) * 10), "kW"),
        side(theirs, str(Decimal(theirs) * 10), "kW"),
    )


def test_bills_that_agree_need_no_reason() -> None:
    found = compared(
        Pair("energy.e", side("10", "1.004"), side(None, "1.00")),
        Pair("fixed.m", side("1", "5"), side("1", "5")),
    )
    assert [row.agrees for row in found.rows] == [True, True]
    assert found.reasons == () and found.difference == Decimal("-0.004")
    assert compared(Pair("fixed.m", side("1", "5"), side("1", "5"))).agrees


def test_differences_add_up_to_the_difference_of_the_totals() -> None:
    pairs = (kw("100", "120"), Pair("energy.e", side("10", "1"), None), Pair("", None, side(None, "7.5")))
    found = compared(*pairs)
    assert found.difference == sum(row.pair.difference for row in found.rows) == Decimal("206.5")
    assert "no such line: it may be part" in found.rows[1].reasons[0]
    assert "Add it to the tariff" in found.rows[2].reasons[0]


@pytest.mark.parametrize(
    ("pair", "more", "words"),
    [
        (
            Pair("energy.e", side("1000", "100"), side("1001", "131.13")),
            {},
            "another price: 0.13100 instead of 0.10000 USD/kWh",
        ),
        (Pair("energy.e", side("1000", "100"), side("1000", "100.02")), {}, "the rest is rounding"),
        (Pair("tax.vat", side("50", "5", "USD"), side("60", "6", "USD")), {}, "follows from the other lines"),
        (kw("110", "120"), {}, "Our highest 15-minute mean of all hours is 120.000 kW, at 2026-02-01 01:15"),
        (kw("120", "100"), {}, "Our highest 30-minute mean of all hours is 100.000 kW, at 2026-02-01 00:00"),
        (
            kw("120", "320"),
            {"peaks": {"d": {date(2025, 8, 1): Decimal(400)}}},
            "It is 80 % of the 400 kW of August 2025",
        ),
        (kw("120", "150"), {}, "If the utility bills kVA, a power factor of 0.800"),
        (
            kw("120", "200"),
            {"load": a_load(estimated=[0, 0, 0, 0, 0, 0, 1, 1])},
            "the highest at 2026-02-01 01:30 (estimated 80.0 kW)",
        ),
        (
            Pair("energy.e", side("175", "17.5"), side("190", "19")),
            {"load": a_load(estimated=[0, 0, 0, 0, 0, 0, 1, 1])},
            "2 of our intervals were not measured but estimated, 35.0 kWh together: they can explain it",
        ),
    ],
    ids=["price", "rounding", "tax", "window", "metering", "ratchet", "kVA", "unmeasured", "estimated"],
)
def test_each_kind_of_difference_is_explained(pair: Pair, more: dict[str, Any], words: str) -> None:
    [row] = compared(pair, **more).rows
    assert not row.agrees
    assert any(words in reason for reason in row.reasons), row.reasons


def energy(name: str, ours: str, theirs: str) -> Pair:
    return Pair(f"energy.e.{name}", side(ours, "1"), side(theirs, "2"))


def test_what_concerns_the_whole_bill_is_said_once() -> None:
    assert (
        "All energy differs by the same +2.00 %"
        in compared(energy("a", "100", "102"), energy("b", "50", "51")).reasons[0]
    )
    assert (
        "agrees as a whole (150 kWh)"
        in compared(energy("a", "100", "90"), energy("b", "50", "60")).reasons[0]
    )
    assert compared(energy("a", "100", "90"), energy("b", "50", "80")).reasons == ()
    assert "add up to $2.00, the bill says $9.00" in compared(energy("a", "1", "1"), stated="9").reasons[0]
    late = make_load(START + 4 * QUARTER, 15, [1, 2])
    assert "lacks 1.0 h" in compared(kw("2", "2"), load=late).reasons[0]


def test_means_follow_the_clock_and_never_what_was_not_measured() -> None:
    load = make_load(START - QUARTER, 15, [400, 100, 100, 100, 100, 500], estimated=[0, 0, 0, 0, 0, 1])
    assert block_peaks(load, ZONE) == {
        15: (400.0, START - QUARTER),
        30: (200.0, START - QUARTER),
        60: (100.0, START - QUARTER),
    }
    assert estimated_peak(load) == (500.0, START + 4 * QUARTER)
    assert estimated_peak(a_load()) is None
    assert list(block_peaks(make_load(START, 60, [1, 2]), ZONE)) == [60]
