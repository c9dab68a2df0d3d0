"""Replacing a range of days: exactly the file's blocks run on them, and all else stays as it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.formats.blocks import BlockRow, Fleet, KnownType, KnownVehicle, Reading
from fleet.formats.preview import preview
from fleet.formats.ranges import DateRange, take_out

MONDAY = date(2026, 3, 9)
WEEK = DateRange(MONDAY, MONDAY + timedelta(days=6))
FLEET = Fleet(frozenset({"d"}), (KnownVehicle("Bus 01", "Bus"),), (KnownType("Bus", 400, 1.0),))


def weekly(block_id: str = "101", weekdays: int = 0b0011111, **values) -> BlockRow:
    return BlockRow(block_id, 390, 525, weekdays=weekdays, **values)


def days_of(row: BlockRow, first: date, number: int) -> set[date]:
    runs = row.running()
    days = (first + timedelta(days=offset) for offset in range(number))
    return {day for day in days if row.first_day <= day.toordinal() <= row.last_day and runs(day.toordinal())}


def test_a_block_that_goes_on_stops_on_the_days_only() -> None:
    ((before, after),) = take_out([weekly()], WEEK).changed
    assert days_of(after, MONDAY, 7) == set()
    for first, number in ((MONDAY - timedelta(days=60), 60), (MONDAY + timedelta(days=7), 60)):
        assert days_of(after, first, number) == days_of(before, first, number)
    assert after.key == before.key


def test_a_block_that_ends_within_the_days_ends_before_them() -> None:
    row = weekly(valid_from=date(2026, 1, 5), valid_to=MONDAY + timedelta(days=3))
    ((_, after),) = take_out([row], WEEK).changed
    assert (after.valid_to, after.exceptions) == (date(2026, 3, 8), ())


def test_what_does_not_run_on_the_days_stays() -> None:
    saturdays = weekly(weekdays=1 << 5)
    assert take_out([saturdays], DateRange(MONDAY, MONDAY + timedelta(days=4))).changed == ()
    assert take_out([weekly(valid_to=MONDAY - timedelta(days=1))], WEEK).changed == ()
    assert (
        take_out([replace(weekly(), exceptions=((MONDAY, False),))], DateRange(MONDAY, MONDAY)).changed == ()
    )


def test_a_calendar_may_let_a_block_run_on_any_day() -> None:
    weekend = DateRange(date(2026, 3, 14), date(2026, 3, 15))
    assert take_out([weekly()], weekend).changed == ()
    ((_, after),) = take_out([weekly(has_calendar=True)], weekend).changed
    assert after.exceptions == ((date(2026, 3, 14), False), (date(2026, 3, 15), False))


def test_more_than_a_year_of_single_days_is_refused() -> None:
    assert "shorter span" in take_out([weekly()], DateRange(None, MONDAY)).errors[0].message
    assert take_out([weekly()], DateRange(MONDAY, None)).changed[0][1].valid_to == date(2026, 3, 8)


@given(
    st.integers(1, 127),
    st.integers(-30, 30),
    st.integers(0, 60),
    st.integers(-30, 30),
    st.integers(0, 60),
    st.dictionaries(st.integers(-40, 90), st.booleans(), max_size=4),
)
def test_days_within_are_empty_and_days_outside_the_same(
    weekdays: int, begins: int, lasts: int, first: int, length: int, differing: dict[int, bool]
) -> None:
    def day(offset: int) -> date:
        return MONDAY + timedelta(days=offset)

    row = weekly(
        weekdays=weekdays,
        valid_from=day(begins),
        valid_to=day(begins + lasts),
        exceptions=tuple(sorted((day(offset), runs) for offset, runs in differing.items())),
    )
    days = DateRange(day(first), day(first + length))
    out = take_out([row], days)
    after = out.changed[0][1] if out.changed else row
    if days.contains(row):
        assert out.changed == ()
        return
    inside = {one for one in days_of(row, day(-60), 200) if days.from_date <= one <= days.to_date}
    assert days_of(after, day(-60), 200) == days_of(row, day(-60), 200) - inside
    assert take_out([after], days).changed == ()


@pytest.mark.parametrize("runs_on_in_the_file", [False, True])
def test_conflicts_of_replacing_are_with_what_stays(runs_on_in_the_file: bool) -> None:
    standing = weekly("usual", vehicle="Bus 01")
    values = {} if runs_on_in_the_file else {"valid_from": WEEK.from_date, "valid_to": WEEK.to_date}
    found = preview(
        Reading("csv", (weekly("special", vehicle="Bus 01", distance_km=10, **values),)),
        FLEET,
        [standing],
        WEEK,
    )
    assert found.conflicts
    assert bool(found.replace_conflicts) is runs_on_in_the_file
    assert [after.block_id for _, after in found.taken_out] == ["usual"]
    assert found.removed(replacing=True) == ()


def test_overlaps_of_endless_blocks_with_days_that_differ_are_found_at_once() -> None:
    out = ((MONDAY, False),)
    rows = [
        weekly(f"{number}", vehicle="Bus 01", weekdays=1 << number % 7, exceptions=out, distance_km=1)
        for number in range(60)
    ]
    found = preview(Reading("csv", tuple(rows)), FLEET, [])
    assert len(found.errors) == 60 - 7
