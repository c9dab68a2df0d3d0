"""Uptime of ports by the formula of 23 CFR 680.116(b)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from charging.uptime import merged, uptime

YEAR = (datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))


def at(hours: float) -> datetime:
    return YEAR[0] + timedelta(hours=hours)


def test_the_formula_over_a_year() -> None:
    found = uptime(YEAR, [(at(100), at(200)), (at(1000), at(1300))], [(at(1200), at(1400))])
    assert (found.minutes, found.outage, found.excluded) == (525_600, 400 * 60, 100 * 60)
    assert found.share == pytest.approx((525_600 - (24_000 - 6_000)) / 525_600)


def test_outages_that_overlap_count_once_and_are_cut_to_the_period() -> None:
    spans = [(at(-5), at(2)), (at(1), at(3)), (at(3), at(4)), (at(8), at(8)), (at(8759), at(9000))]
    assert merged(spans, YEAR) == [(at(0), at(4)), (at(8759), at(8760))]
    assert uptime(YEAR, spans, []).outage == 5 * 60


def test_exclusions_outside_outages_excuse_nothing() -> None:
    found = uptime(YEAR, [(at(10), at(11))], [(at(12), at(20))])
    assert (found.outage, found.excluded) == (60, 0)


def test_without_outages_it_is_always_up_and_no_period_has_no_uptime() -> None:
    assert uptime(YEAR, [], []).share == 1
    assert uptime((at(0), at(0)), [], []).share is None
