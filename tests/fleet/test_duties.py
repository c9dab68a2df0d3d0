"""Blocks laid over days: clock changes, midnight, calendars, assignments, and few queries."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from depot.models import Depot
from fleet.models import Assignment, CalendarException, ServiceCalendar
from fleet.selectors.duties import Duty, duties
from tests.factories import NOW, make_block, make_vehicle

MONDAY = date(2026, 3, 9)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def span(depot: Depot, day: date, number_of_days: int = 1) -> list[Duty]:
    """Return the duties of whole local days."""
    start = datetime.combine(day, datetime.min.time(), tzinfo=depot.tz)
    end = datetime.combine(day + timedelta(days=number_of_days), datetime.min.time(), tzinfo=depot.tz)
    return duties(depot, start, end)


def test_weekdays_decide_when_a_block_runs(depot: Depot) -> None:
    bus = make_vehicle(depot)
    make_block(depot, bus, weekdays=0b0010101)
    found = span(depot, MONDAY, 7)
    assert [duty.service_date.isoweekday() for duty in found] == [1, 3, 5]
    assert {duty.vehicle for duty in found} == {bus}
    assert found[0].pull_out_at == utc(2026, 3, 9, 10, 30)
    assert found[0].pull_in_at == utc(2026, 3, 9, 12, 45)


def test_duties_are_sorted_by_pull_out(depot: Depot) -> None:
    make_block(depot, None, "late", depart_minute=600, return_minute=700)
    make_block(depot, None, "early", depart_minute=300, return_minute=400)
    assert [duty.block.block_id for duty in span(depot, MONDAY)] == ["early", "late"]


def test_a_dated_block_runs_on_its_date_alone(depot: Depot) -> None:
    make_block(depot, None, weekdays=0, service_date=date(2026, 3, 14))
    assert [duty.service_date for duty in span(depot, MONDAY, 14)] == [date(2026, 3, 14)]


def test_validity_has_two_ends(depot: Depot) -> None:
    make_block(depot, None, weekdays=127, valid_from=date(2026, 3, 10), valid_to=date(2026, 3, 12))
    assert [duty.service_date.day for duty in span(depot, MONDAY, 7)] == [10, 11, 12]
    assert span(depot, date(2026, 4, 1), 7) == []


def test_a_calendar_cancels_and_adds_days(depot: Depot) -> None:
    calendar = ServiceCalendar.objects.create(depot=depot, name="School")
    other = ServiceCalendar.objects.create(depot=depot, name="Summer")
    CalendarException.objects.create(calendar=calendar, date=date(2026, 3, 10), runs=False)
    CalendarException.objects.create(calendar=calendar, date=date(2026, 3, 14), runs=True)
    CalendarException.objects.create(calendar=other, date=date(2026, 3, 11), runs=False)
    make_block(depot, None, calendar=calendar)
    assert [duty.service_date.day for duty in span(depot, MONDAY, 7)] == [9, 11, 12, 13, 14]


def test_an_assignment_changes_the_vehicle_of_one_day(depot: Depot) -> None:
    usual, spare = make_vehicle(depot, "Bus 01"), make_vehicle(depot, "Bus 02")
    block = make_block(depot, usual)
    Assignment.objects.create(block=block, service_date=date(2026, 3, 10), vehicle=spare, made_at=NOW)
    assert [duty.vehicle for duty in span(depot, MONDAY, 3)] == [usual, spare, usual]


def test_an_assignment_without_vehicle_cancels_the_day(depot: Depot) -> None:
    block = make_block(depot, make_vehicle(depot))
    Assignment.objects.create(block=block, service_date=MONDAY, vehicle=None, made_at=NOW)
    assert [duty.service_date.day for duty in span(depot, MONDAY, 2)] == [10]


def test_an_assignment_on_a_day_without_service_makes_no_duty(depot: Depot) -> None:
    bus = make_vehicle(depot)
    block = make_block(depot, bus)
    Assignment.objects.create(block=block, service_date=date(2026, 3, 14), vehicle=bus, made_at=NOW)
    assert span(depot, date(2026, 3, 14)) == []


def test_a_block_nobody_drives_is_still_a_duty(depot: Depot) -> None:
    make_block(depot, None)
    assert [duty.vehicle for duty in span(depot, MONDAY)] == [None]


def test_a_block_past_midnight_is_seen_from_both_days(depot: Depot) -> None:
    make_block(depot, None, depart_minute=22 * 60, return_minute=26 * 60, weekdays=0b0000001)
    (monday,) = span(depot, MONDAY)
    (tuesday,) = span(depot, date(2026, 3, 10))
    assert monday == tuesday
    assert monday.pull_in_at == utc(2026, 3, 10, 6, 0)
    assert span(depot, date(2026, 3, 11)) == []


def test_the_longest_block_is_seen_on_its_third_day(depot: Depot) -> None:
    make_block(depot, None, depart_minute=1400, return_minute=4300, weekdays=0b0000001)
    assert len(span(depot, date(2026, 3, 11))) == 1


def test_the_span_is_half_open(depot: Depot) -> None:
    make_block(depot, None)
    out, back = utc(2026, 3, 9, 10, 30), utc(2026, 3, 9, 12, 45)
    minute = timedelta(minutes=1)
    assert duties(depot, out - minute, out) == []
    assert len(duties(depot, out, out + minute)) == 1
    assert len(duties(depot, back - minute, back)) == 1
    assert duties(depot, back, back + minute) == []
    assert duties(depot, back, out) == []


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 8), 7.0), (date(2026, 11, 1), 9.0), (date(2026, 3, 9), 8.0)],
    ids=["spring: an hour is missing", "autumn: an hour comes twice", "an ordinary night"],
)
def test_clock_change_nights_have_their_own_length(depot: Depot, day: date, hours: float) -> None:
    make_block(depot, None, depart_minute=0, return_minute=480, weekdays=127)
    (duty,) = [duty for duty in span(depot, day) if duty.service_date == day]
    assert (duty.pull_in_at - duty.pull_out_at) / timedelta(hours=1) == hours


def test_a_departure_in_the_missing_hour_keeps_the_length_of_the_work(depot: Depot) -> None:
    make_block(depot, None, depart_minute=150, return_minute=190, weekdays=127)
    (duty,) = span(depot, date(2026, 3, 8))
    assert duty.pull_out_at == utc(2026, 3, 8, 7, 30)
    assert duty.pull_in_at == utc(2026, 3, 8, 8, 10)


def test_the_evening_before_the_clock_change_comes_back_on_time(depot: Depot) -> None:
    make_block(depot, None, depart_minute=22 * 60, return_minute=29 * 60, weekdays=0b0100000)
    (duty,) = span(depot, date(2026, 3, 7))
    assert depot.local(duty.pull_in_at).strftime("%H:%M") == "05:00"
    assert duty.pull_in_at - duty.pull_out_at == timedelta(hours=6)


def test_other_depots_stay_out(depot: Depot, other_depot: Depot) -> None:
    make_block(other_depot, make_vehicle(other_depot))
    assert span(depot, MONDAY, 7) == []


@pytest.mark.parametrize("number", [1, 12])
def test_queries_do_not_grow_with_rows(depot: Depot, number: int, django_assert_num_queries) -> None:
    calendar = ServiceCalendar.objects.create(depot=depot, name="School")
    CalendarException.objects.create(calendar=calendar, date=MONDAY, runs=True)
    for index in range(number):
        bus = make_vehicle(depot, f"Bus {index}", soc=0.5 if index % 2 else None)
        block = make_block(depot, bus, f"B{index}", calendar=calendar)
        Assignment.objects.create(block=block, service_date=MONDAY, vehicle=bus, made_at=NOW)
    with django_assert_num_queries(8):
        found = span(depot, MONDAY, 5)
        assert len(found) == number * 5
        for duty in found:
            assert duty.vehicle.type.usable_kwh == 200
            assert duty.block.depot.name == "Maple Street"
            assert getattr(duty.vehicle, "state", None) is None or duty.vehicle.state.soc == 0.5
