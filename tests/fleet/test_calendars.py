"""Public holidays, closed days and half days of calendars, in every expansion of blocks into duties."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from depot.models import Depot
from fleet.calendars.public_holidays import UnknownPlace, check_place, holidays_of
from fleet.calendars.rules import DayRule
from fleet.models import CalendarException, ServiceCalendar
from fleet.selectors.duties import Duty, duties
from fleet.services.departures import replace_future
from tests.factories import make_block, make_vehicle

WEEKDAYS = 0b0011111
TUESDAY = date(2026, 3, 10)


# --- rules


@pytest.mark.parametrize(
    ("rule", "runs"),
    [
        (DayRule(), True),
        (DayRule(runs=False), False),
        (DayRule(like_weekday=6), False),
        (DayRule(like_weekday=0), True),
        (DayRule(early_minutes=90), True),
    ],
)
def test_a_rule_says_whether_a_weekday_block_runs(rule: DayRule, runs: bool) -> None:
    assert rule.lets_run(WEEKDAYS, TUESDAY) is runs


def test_only_a_day_of_service_runs_what_its_weekday_does_not() -> None:
    saturday = date(2026, 3, 14)
    assert DayRule(runs=True).lets_run(WEEKDAYS, saturday)
    assert not DayRule(early_minutes=90).lets_run(WEEKDAYS, saturday)


def test_a_half_day_pulls_forward_what_leaves_at_noon_or_later() -> None:
    half = DayRule(early_minutes=150)
    assert [half.earlier(minute) for minute in (390, 719, 720, 840)] == [0, 0, 150, 150]
    assert DayRule().earlier(840) == 0


def test_holidays_are_those_of_the_country_and_its_part() -> None:
    assert holidays_of("US", "", 2026)[date(2026, 11, 26)] == "Thanksgiving Day"
    assert date(2026, 1, 6) in holidays_of("DE", "BY", 2026)
    assert date(2026, 1, 6) not in holidays_of("DE", "BE", 2026)


@pytest.mark.parametrize(("place", "field"), [(("XX", ""), "country"), (("US", "QQ"), "subdivision")])
def test_an_unknown_place_is_named(place: tuple[str, str], field: str) -> None:
    with pytest.raises(UnknownPlace) as problem:
        check_place(*place)
    assert problem.value.field == field


# --- duties


@pytest.fixture
def school(depot: Depot) -> ServiceCalendar:
    return ServiceCalendar.objects.create(depot=depot, name="School", country="US", subdivision="NC")


def span(depot: Depot, day: date, number: int = 1) -> list[Duty]:
    start = datetime.combine(day, datetime.min.time(), tzinfo=depot.tz)
    end = datetime.combine(day + timedelta(days=number), datetime.min.time(), tzinfo=depot.tz)
    return duties(depot, start, end)


def leaves(depot: Depot, day: date) -> list[str]:
    return [
        f"{depot.local(duty.pull_out_at):%H:%M}-{depot.local(duty.pull_in_at):%H:%M}"
        for duty in span(depot, day)
    ]


def test_holidays_close_or_run_as_on_sundays(depot: Depot, school: ServiceCalendar) -> None:
    make_block(depot, None, "week", calendar=school)
    make_block(depot, None, "sunday", calendar=school, weekdays=0b1000000)
    make_block(depot, None, "free")
    thanksgiving = date(2026, 11, 26)
    assert [duty.block.block_id for duty in span(depot, thanksgiving)] == ["free"]
    ServiceCalendar.objects.update(on_holidays="sunday")
    assert [duty.block.block_id for duty in span(depot, thanksgiving)] == ["free", "sunday"]
    CalendarException.objects.create(calendar=school, date=thanksgiving, runs=True, like_weekday=0)
    assert [duty.block.block_id for duty in span(depot, thanksgiving)] == ["free", "week"]


def test_a_half_day_brings_the_afternoon_forward(depot: Depot, school: ServiceCalendar) -> None:
    bus = make_vehicle(depot)
    make_block(depot, bus, "AM", calendar=school)
    make_block(depot, bus, "PM", calendar=school, depart_minute=840, return_minute=975)
    make_block(depot, None, "van", depart_minute=840, return_minute=975)
    CalendarException.objects.create(calendar=school, date=TUESDAY, runs=True, early_minutes=150)
    assert leaves(depot, TUESDAY) == ["06:30-08:45", "11:30-13:45", "14:00-16:15"]
    assert leaves(depot, date(2026, 3, 11)) == ["06:30-08:45", "14:00-16:15", "14:00-16:15"]
    assert [duty.earlier_minutes for duty in span(depot, TUESDAY)] == [0, 150, 0]


def test_a_half_day_on_the_night_of_the_clock_change_and_past_midnight(
    depot: Depot, school: ServiceCalendar
) -> None:
    saturday = date(2026, 3, 7)
    make_block(depot, None, calendar=school, weekdays=127, depart_minute=1380, return_minute=1680)
    CalendarException.objects.create(calendar=school, date=saturday, runs=True, early_minutes=60)
    (duty,) = [duty for duty in span(depot, saturday) if duty.service_date == saturday]
    assert duty.pull_out_at == datetime(2026, 3, 8, 3, 0, tzinfo=UTC)  # 22:00 EST
    assert duty.pull_in_at == datetime(
        2026, 3, 8, 7, 0, tzinfo=UTC
    )  # 03:00 EDT: the hour from 2 is not there
    assert duty in span(depot, date(2026, 3, 8))


def test_a_block_that_says_so_itself_goes_before_its_calendar(depot: Depot, school: ServiceCalendar) -> None:
    block = make_block(depot, None, calendar=school)
    block.exceptions = {"2026-11-26": True, "2026-03-10": False}
    block.save()
    assert len(span(depot, date(2026, 11, 26))) == 1
    assert span(depot, TUESDAY) == []


def test_a_departure_that_a_half_day_brought_forward_has_left(depot: Depot, school: ServiceCalendar) -> None:
    bus = make_vehicle(depot)
    make_block(depot, bus, "PM", calendar=school, depart_minute=840, return_minute=975)
    CalendarException.objects.create(calendar=school, date=TUESDAY, runs=True, early_minutes=150)
    at_noon = datetime(2026, 3, 10, 16, 0, tzinfo=UTC)
    replace_future(bus, [], None, at_noon, replan=False)
    assert [duty.block.block_id for duty in span(depot, TUESDAY)] == ["PM"]
    assert span(depot, date(2026, 3, 11)) == []


def test_a_calendar_names_what_is_wrong_with_its_place(depot: Depot) -> None:
    calendar = ServiceCalendar(depot=depot, name="x", country="us", subdivision="nc")
    calendar.full_clean()
    assert (calendar.country, calendar.subdivision) == ("US", "NC")
    for country, subdivision, field in (
        ("XX", "", "country"),
        ("US", "QQ", "subdivision"),
        ("", "NC", "country"),
    ):
        calendar.country, calendar.subdivision = country, subdivision
        with pytest.raises(ValidationError) as problem:
            calendar.full_clean()
        assert field in problem.value.message_dict


@pytest.mark.django_db
def test_a_day_is_of_one_kind(depot: Depot, school: ServiceCalendar) -> None:
    for values in (
        {"runs": False, "early_minutes": 60},
        {"runs": True, "early_minutes": 60, "like_weekday": 6},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            CalendarException.objects.create(calendar=school, date=TUESDAY, **values)
