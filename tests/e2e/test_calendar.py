"""The Schedule calendar in a real browser: a half day entered by a dispatcher, on a desk and on a phone."""

from __future__ import annotations

from typing import Any

import time_machine
from playwright.sync_api import expect

from depot.models import Depot, User
from fleet.models import CalendarException, DayTemperature, ServiceCalendar
from tests.e2e.conftest import SIZES, Photograph, SignIn
from tests.factories import NOW, make_block, make_vehicle


def test_a_dispatcher_enters_a_half_day(
    sign_in: SignIn, dispatcher: User, depot: Depot, live_server: Any, photograph: Photograph
) -> None:
    school = ServiceCalendar.objects.create(depot=depot, name="School", country="US", subdivision="NC")
    make_block(depot, make_vehicle(depot), "AM", calendar=school)
    make_block(depot, None, "PM", calendar=school, depart_minute=840, return_minute=975)
    make_block(depot, None, "van")
    DayTemperature.objects.create(depot=depot, date=NOW.date(), outside_temp_c=6.0, source="told")
    with time_machine.travel(NOW):
        page = sign_in(dispatcher)
        page.goto(f"{live_server.url}/{depot.slug}/schedules/calendar/?month=2026-04")
        expect(page.get_by_role("cell", name="Good Friday")).to_contain_text("no service")
        page.get_by_label("From").fill("2026-04-15")
        page.get_by_label("What it is").select_option("half")
        page.get_by_label("Minutes earlier").fill("120")
        page.get_by_label("Note").fill("Conferences")
        page.get_by_role("button", name="Keep, and plan again").first.click()
        expect(page.get_by_role("cell", name="Conferences")).to_contain_text("from noon on 120 min earlier")
        photograph(page, "calendar")
        page.set_viewport_size(SIZES["phone"])  # type: ignore[arg-type]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        photograph(page, "calendar-phone")
    assert CalendarException.objects.get().early_minutes == 120
