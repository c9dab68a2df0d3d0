"""Billing cycles: named by months, without gaps, over clock changes and when the reading day changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depot.cycles import Cycles, reading_problems
from tests.billing.tariff.examples import DOCS, table_rows

NEW_YORK = ZoneInfo("America/New_York")
MARCH = date(2026, 3, 1)
BILLS = (DOCS / "bills.md").read_text()


def test_the_published_cycles() -> None:
    rows = [row for row in table_rows(BILLS) if row[0].startswith("on the 9th from")]
    assert len(rows) == 4
    cycles = Cycles(NEW_YORK, 9, MARCH)
    for _, name, first, last in rows:
        month = datetime.strptime(name, "%B %Y").replace(tzinfo=UTC).date()
        begin, end = cycles.days(month)
        assert (str(begin), str(end - timedelta(days=1))) == (first, last)


@pytest.mark.parametrize(
    ("month", "first", "end"),
    [
        (date(2026, 1, 1), date(2026, 1, 1), date(2026, 2, 1)),
        (date(2026, 2, 1), date(2026, 2, 1), date(2026, 3, 9)),  # the longer one
        (date(2026, 3, 31), date(2026, 3, 9), date(2026, 4, 9)),
        (date(2026, 12, 1), date(2026, 12, 9), date(2027, 1, 9)),
    ],
)
def test_cycles_begin_on_the_reading_day_from_a_month_on(month: date, first: date, end: date) -> None:
    cycles = Cycles(NEW_YORK, 9, MARCH)
    assert cycles.days(month) == (first, end)
    start_at, end_at = cycles.bounds(month)
    assert (start_at.astimezone(NEW_YORK).date(), start_at.astimezone(NEW_YORK).hour) == (first, 0)
    assert (end_at.astimezone(NEW_YORK).date(), end_at.astimezone(NEW_YORK).hour) == (end, 0)


def test_a_span_has_the_starts_that_enclose_it_and_calendar_months_have_none() -> None:
    cycles = Cycles(NEW_YORK, 9, MARCH)
    start_at, end_at = datetime(2026, 1, 20, tzinfo=UTC), cycles.bounds(MARCH)[1]
    assert cycles.starts(start_at, end_at) == [
        date(2026, 1, 1),
        date(2026, 2, 1),
        date(2026, 3, 9),
        date(2026, 4, 9),
    ]
    assert cycles.starts(start_at, start_at + timedelta(days=1)) is None
    assert cycles.words(*cycles.bounds(MARCH)) == " (9 Mar to 8 Apr)"
    assert cycles.words(*cycles.bounds(date(2026, 1, 1))) == ""
    assert Cycles(NEW_YORK).starts(start_at, end_at) is None


def test_a_single_reading_day_takes_the_place_of_its_months() -> None:
    cycles = Cycles(NEW_YORK, 9, MARCH, (date(2026, 4, 13), date(2026, 5, 6)))
    assert not reading_problems(cycles)
    rows = [row for row in table_rows(BILLS) if row[0].startswith("on the 9th, but")]
    assert len(rows) == 3
    for _, name, first, last in rows:
        begin, end = cycles.days(datetime.strptime(name, "%B %Y").replace(tzinfo=UTC).date())
        assert (str(begin), str(end - timedelta(days=1))) == (first, last)
    assert cycles.month_of_day(date(2026, 4, 12)) == MARCH
    assert cycles.starts(*cycles.bounds(date(2026, 4, 1))) == [date(2026, 4, 13), date(2026, 5, 6)]


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ((date(2026, 5, 6), date(2026, 4, 13)), "2026-04-13 does not come after 2026-05-06"),
        ((date(2026, 4, 8), date(2026, 4, 13)), "lie in one month"),
        ((date(2026, 4, 28),), "from 2026-03-09 to 2026-04-28 has 50 days; 20 to 45 are possible"),
        ((date(2026, 4, 25), date(2026, 5, 9)), "from 2026-04-25 to 2026-05-09 has 14 days"),
    ],
)
def test_reading_days_out_of_order_or_too_far_apart_are_refused(days: tuple[date, ...], words: str) -> None:
    assert words in " ".join(reading_problems(Cycles(NEW_YORK, 9, MARCH, days)))


@given(
    day=st.integers(1, 28),
    shift=st.integers(-8, 8),
    since=st.none() | st.dates(date(2024, 1, 1), date(2027, 1, 1)),
    hour=st.integers(0, 3 * 365 * 24),
)
@settings(max_examples=200)
def test_every_moment_lies_in_exactly_the_cycle_that_its_month_names(
    day: int, shift: int, since: date | None, hour: int
) -> None:
    read = date(2025, 6, min(max(day + shift, 1), 30))
    cycles = Cycles(NEW_YORK, day, since, (read,))
    at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
    month = cycles.month_of(at)
    start_at, end_at = cycles.bounds(month)
    assert start_at <= at < end_at
    assert cycles.first_day(month).replace(day=1) == month
    following = (month + timedelta(days=31)).replace(day=1)
    assert cycles.bounds(following)[0] == end_at and cycles.month_of(end_at) == following
