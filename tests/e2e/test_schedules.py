"""The upload of a schedule in a real browser, with scripts and without."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from depot.models import Depot, User
from fleet.models import Block
from tests.e2e.conftest import Photograph, SignIn
from tests.factories import make_block, make_type, make_vehicle

HEADER = "block_id,service_days,depart_at,return_at,distance_km,min_soc_departure,vehicle"


@pytest.fixture
def buses(depot: Depot) -> None:
    kind = make_type(depot, name="School bus 200 kWh")
    for number in range(1, 7):
        bus = make_vehicle(depot, f"Bus {number:02}", type=kind)
        make_block(
            depot, bus, f"{100 + number} AM", key=f"{100 + number} AM|1111100", depart_minute=360 + number
        )
    make_block(depot, None, "201 trip", key="201 trip|1111100", vehicle_type=kind)


def schedule(bad: bool = False) -> dict[str, Any]:
    rows = [f"{100 + n} AM,Mon-Fri,06:1{n},08:45,4{n},80 %,Bus 0{n}" for n in range(1, 6)]
    rows += [f"{100 + n} PM,Mon-Fri,14:0{n},16:30,4{n},,Bus 0{n}" for n in range(1, 7)]
    if bad:
        rows[1:3] = [
            "102 AM,Mon-Fry,06:75,08:45,4x,80 %,Bus 02",
            "103 AM,Mon-Fri,06:13,05:45,43,80 %,Buss 03",
        ]
    content = "\n".join([HEADER, *rows]).encode()
    return {"name": "spring.csv", "mimeType": "text/csv", "buffer": content}


def go_through(page: Page, depot: Depot, photograph: Photograph | None = None) -> None:
    """Upload a bad file, mend it, replace the schedule, see the list."""

    def keep(name: str) -> None:
        if photograph:
            photograph(page, f"schedules-{name}")

    keep("list")
    page.get_by_role("link", name="Upload a schedule").click()
    expect(page.get_by_label("Schedule as CSV")).to_be_visible()
    keep("file")
    page.get_by_label("Schedule as CSV").set_input_files(schedule(bad=True))  # type: ignore[arg-type]
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("spring.csv has 5 errors in 2 rows")
    expect(page.get_by_role("cell", name="06:75", exact=True)).to_be_visible()
    keep("errors")
    page.get_by_role("link", name="Upload the mended file").click()
    page.get_by_label("Schedule as CSV").set_input_files(schedule())  # type: ignore[arg-type]
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("spring.csv has 11 blocks and no errors")
    expect(page.get_by_text("pull-out 06:01 → 06:11").first).to_be_visible()
    keep("preview")
    assert Block.objects.of_depot(depot).count() == 7
    page.get_by_label("Replace the schedule").check()
    page.get_by_role("button", name="Save 11 blocks").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("The 11 blocks of spring.csv are saved")
    keep("done")
    page.get_by_role("link", name="See the schedule").click()
    expect(page.get_by_role("row", name="106 PM")).to_be_visible()
    assert Block.objects.of_depot(depot).count() == 11


def test_a_dispatcher_uploads_a_schedule(
    sign_in: SignIn, dispatcher: User, depot: Depot, buses: None, live_server: Any, photograph: Photograph
) -> None:
    page = sign_in(dispatcher)
    page.goto(f"{live_server.url}/{depot.slug}/schedules/")
    go_through(page, depot, photograph)
    page.get_by_label("Vehicle or block").fill("Bus 03")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("#blocks tbody tr")).to_have_count(2)
    expect(page).to_have_url(re.compile(r"/schedules/\?q=Bus(\+|%20)03$"))


def test_the_upload_works_without_scripts(
    browser: Browser, dispatcher: User, depot: Depot, buses: None, live_server: Any
) -> None:
    client = Client()
    client.force_login(dispatcher, backend="django.contrib.auth.backends.ModelBackend")
    context = browser.new_context(java_script_enabled=False)
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page = context.new_page()
    page.goto(f"{live_server.url}/{depot.slug}/schedules/")
    go_through(page, depot)
    context.close()
