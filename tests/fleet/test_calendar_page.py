"""The Schedule calendar: what a month shows, what dispatchers change, and who may."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
import time_machine
from django.urls import reverse

from depot.models import AuditEvent, Depot, Job, User
from fleet.models import Block, CalendarException, DayTemperature, ScheduleSettings, ServiceCalendar
from fleet.selectors.duties import duties
from fleet.services import schedules as service
from tests.factories import NOW, make_block, make_vehicle

pytestmark = pytest.mark.any_database

TUESDAY = date(2026, 3, 17)


@pytest.fixture(autouse=True)
def in_march():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def school(depot: Depot) -> ServiceCalendar:
    calendar = ServiceCalendar.objects.create(depot=depot, name="School", country="US")
    make_block(depot, make_vehicle(depot), "AM", calendar=calendar)
    make_block(depot, None, "PM", calendar=calendar, depart_minute=840, return_minute=975)
    make_block(depot, None, "van")
    return calendar


def url(depot: Depot, view: str = "calendar", *args: int) -> str:
    return reverse(f"fleet:{view}", args=[depot.slug, *args])


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


def days_of(calendar: ServiceCalendar, **values: object) -> dict[str, object]:
    return {"calendar": calendar.pk, "first": TUESDAY.isoformat(), "last": "", "note": "", **values}


def runs(depot: Depot, day: date) -> list[str]:
    begin = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
    found = duties(depot, begin, begin.replace(hour=23))
    return [f"{duty.block.block_id} {depot.local(duty.pull_out_at):%H:%M}" for duty in found]


def test_a_month_shows_services_holidays_and_days_that_differ(
    login, depot: Depot, viewer: User, school: ServiceCalendar
) -> None:
    CalendarException.objects.create(
        calendar=school, date=date(2026, 11, 25), runs=True, early_minutes=150, note="Early release"
    )
    DayTemperature.objects.create(depot=depot, date=date(2026, 11, 3), outside_temp_c=4.2, source="told")
    page = login(viewer).get(url(depot), {"month": "2026-11"})
    month = page.context["month"]
    cells = {day.date: day for day in month.days}
    assert len(cells) == 30
    assert dict(cells[date(2026, 11, 3)].running) == {"School": 2, "Without a calendar": 1}
    assert dict(cells[date(2026, 11, 26)].running) == {"Without a calendar": 1}
    assert cells[date(2026, 11, 28)].running == {}
    [remark] = cells[date(2026, 11, 26)].remarks
    assert (remark.calendar, remark.rule.note) == (school, "Thanksgiving Day")
    text = text_of(page)
    assert "Early release</strong>: half day, from noon on 150 min earlier" in text
    assert "4 °C told" in text
    assert "In November 2026 blocks run on 21 days; 3 differ from its week." in text
    assert "Keep, and plan again" not in text


def test_a_half_day_entered_here_moves_the_departures(
    login, depot: Depot, dispatcher: User, school: ServiceCalendar
) -> None:
    browser = login(dispatcher)
    values = days_of(school, kind="half", early_minutes="120", note="Conferences")
    page = browser.post(url(depot, "calendar-days"), values, follow=True)
    assert "1 day changed; a new plan is asked for." in text_of(page)
    assert runs(depot, TUESDAY) == ["AM 06:30", "van 06:30", "PM 12:00"]
    assert AuditEvent.objects.filter(verb="calendar.days").get().sentence == (
        "School, 2026-03-17: half day, from noon on 120 min earlier (Conferences)."
    )
    assert Job.objects.filter(depot=depot, kind="plan", window__startswith="calendar").exists()
    browser.post(url(depot, "calendar-days"), days_of(school, kind="usual"))
    assert runs(depot, TUESDAY) == ["AM 06:30", "van 06:30", "PM 14:00"]


def test_a_span_of_closed_days_and_a_day_like_another(
    login, depot: Depot, dispatcher: User, school: ServiceCalendar
) -> None:
    browser = login(dispatcher)
    browser.post(url(depot, "calendar-days"), days_of(school, kind="closed", last="2026-03-20"))
    assert school.exceptions.filter(runs=False).count() == 4
    assert runs(depot, TUESDAY) == ["van 06:30"]
    browser.post(url(depot, "calendar-days"), days_of(school, kind="like-0", first="2026-03-21"))
    assert runs(depot, date(2026, 3, 21)) == ["AM 06:30", "PM 14:00"]
    browser.post(url(depot, "calendar-days"), days_of(school, kind="like-6"))
    assert runs(depot, TUESDAY) == ["van 06:30"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "half"}, "Minutes earlier: Enter by how many minutes"),
        ({"kind": "closed", "last": "2026-03-16"}, "To: The last day lies before the first"),
        ({"kind": "closed", "last": "2028-03-16"}, "more than a year after it"),
        ({"kind": "closed", "first": "soon"}, "From: Enter a valid date."),
        ({"kind": "fly"}, "What it is: Select a valid choice."),
    ],
)
def test_what_cannot_be_is_refused(
    login, depot: Depot, dispatcher: User, school: ServiceCalendar, values: dict[str, str], words: str
) -> None:
    page = login(dispatcher).post(url(depot, "calendar-days"), days_of(school, **values), follow=True)
    assert f"Nothing was changed. {words}" in text_of(page) or words in text_of(page)
    assert not CalendarException.objects.exists()


def test_blocks_follow_a_calendar_and_so_do_those_of_later_files(
    login, depot: Depot, dispatcher: User, school: ServiceCalendar
) -> None:
    browser = login(dispatcher)
    browser.post(url(depot, "calendar-follow"), {"calendar": school.pk})
    assert Block.objects.get(block_id="van").calendar == school
    assert ScheduleSettings.objects.get(depot=depot).calendar == school
    make_vehicle(depot, "Bus 09")
    header = "block_id,service_days,date,depart_at,return_at,distance_km,vehicle"
    rows = "900,Mon-Fri,,05:30,06:15,20,Bus 09\n901,,2026-03-18,14:00,16:15,42,Bus 09\n"
    service.commit(service.upload(depot, dispatcher, f"{header}\n{rows}".encode(), "more.csv"), dispatcher)
    assert Block.objects.get(block_id="900").calendar == school
    assert Block.objects.get(block_id="901").calendar is None


def test_a_calendar_is_made_and_its_place_checked(login, depot: Depot, dispatcher: User) -> None:
    browser = login(dispatcher)
    values = {"name": "Town", "country": "de", "subdivision": "by", "on_holidays": "sunday"}
    browser.post(url(depot, "calendar-new"), values)
    town = ServiceCalendar.objects.get(name="Town")
    assert (town.depot, town.country, town.subdivision, town.on_holidays) == (depot, "DE", "BY", "sunday")
    page = browser.post(url(depot, "calendar-new"), values)
    assert "A calendar is called Town already." in text_of(page)
    page = browser.post(url(depot, "calendar-edit", town.pk), values | {"country": "XX"})
    assert "No holidays are known of “XX”" in text_of(page)
    assert browser.get(url(depot, "calendar-edit", town.pk)).status_code == 200


def test_an_expected_temperature_is_kept_and_what_was_told_stays(
    login, depot: Depot, dispatcher: User
) -> None:
    browser, address = login(dispatcher), url(depot, "calendar-temperature")
    browser.post(address, {"t-date": "2026-03-17", "t-outside_temp_c": "-3.5"})
    row = DayTemperature.objects.get()
    assert (row.date, row.outside_temp_c, row.source) == (TUESDAY, -3.5, "entered")
    browser.post(address, {"t-date": "2026-03-17", "t-outside_temp_c": ""})
    assert not DayTemperature.objects.exists()
    DayTemperature.objects.create(depot=depot, date=TUESDAY, outside_temp_c=9, source="told")
    page = browser.post(address, {"t-date": "2026-03-17", "t-outside_temp_c": "2"}, follow=True)
    assert "vehicles have told the temperature" in text_of(page)
    assert DayTemperature.objects.get().outside_temp_c == 9


def test_only_those_who_may_change_it_and_nobody_elses(
    login,
    depot: Depot,
    other_depot: Depot,
    viewer: User,
    dispatcher: User,
    outsider: User,
    school: ServiceCalendar,
) -> None:
    foreign = ServiceCalendar.objects.create(depot=other_depot, name="Theirs")
    browser = login(viewer)
    assert browser.post(url(depot, "calendar-days"), days_of(school, kind="closed")).status_code == 403
    assert browser.get(url(depot, "calendar-new")).status_code == 403
    browser = login(dispatcher)
    assert browser.get(url(depot, "calendar-edit", foreign.pk)).status_code == 404
    browser.post(url(depot, "calendar-days"), days_of(foreign, kind="closed"))
    browser.post(url(depot, "calendar-follow"), {"calendar": foreign.pk})
    assert not CalendarException.objects.exists()
    assert not ScheduleSettings.objects.exists()
    assert login(outsider).get(url(depot)).status_code == 404


@pytest.mark.parametrize("month", ["2026-13", "soon", "1999-01"])
def test_a_month_that_is_none_is_not_found(login, depot: Depot, viewer: User, month: str) -> None:
    assert login(viewer).get(url(depot), {"month": month}).status_code == 404


def test_a_month_takes_few_queries(
    login, depot: Depot, dispatcher: User, school: ServiceCalendar, django_assert_num_queries
) -> None:
    browser = login(dispatcher)
    browser.get(url(depot))
    for number in range(20):
        make_block(depot, None, f"B{number}", calendar=school)
    with django_assert_num_queries(13):
        browser.get(url(depot))


def test_a_depot_in_miles_enters_and_reads_fahrenheit(login, depot: Depot, dispatcher: User) -> None:
    depot.units = "us"
    depot.save()
    browser = login(dispatcher)
    address = reverse("fleet:calendar-temperature", args=[depot.slug])
    browser.post(address, {"t-date": "2026-11-27", "t-outside_temp_c": "23"})
    assert DayTemperature.objects.get(date=date(2026, 11, 27)).outside_temp_c == pytest.approx(-5.0)
    text = text_of(browser.get(url(depot), {"month": "2026-11"}))
    assert "23 °F expected" in text
    assert "Mean outside temperature (°F)" in text
    refused = browser.post(address, {"t-date": "2026-11-27", "t-outside_temp_c": "500"}, follow=True)
    assert "No day is as cold or warm as this." in text_of(refused)
