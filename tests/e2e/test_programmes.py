"""The Programmes page in a real browser: an event is entered and stands first, on a phone and in the dark too."""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import expect

from billing.models import ProgrammeEvent
from depot import clock
from depot.models import Depot, User
from tests.e2e.conftest import Photograph, SignIn


def test_a_manager_enters_an_event(
    depot: Depot, manager: User, sign_in: SignIn, live_server, photograph: Photograph
) -> None:
    tomorrow = depot.local(clock.now()).date() + timedelta(days=1)
    page = sign_in(manager)
    page.goto(f"{live_server.url}/{depot.slug}/tariffs/")
    page.get_by_role("link", name="Grid programmes").click()
    expect(page.locator("h1.answer")).to_have_text("No event of a grid programme is coming.")
    page.get_by_label("Programme", exact=True).fill("ELRP")
    page.get_by_label("Day", exact=True).fill(tomorrow.isoformat())
    page.get_by_label("From").fill("17:00")
    page.get_by_label("To", exact=True).fill("16:00")
    page.get_by_label("Pays, USD").fill("2")
    page.get_by_role("button", name="Save the event").click()
    expect(page.locator("h1.answer")).to_contain_text("Nothing was saved")
    expect(page.get_by_text("The end is not after the start")).to_be_visible()
    page.get_by_label("To", exact=True).fill("19:00")
    page.get_by_role("button", name="Save the event").click()
    expect(page.locator("h1.answer")).to_contain_text("The next event is ELRP")
    photograph(page, "programmes")
    assert ProgrammeEvent.objects.get().end_at - ProgrammeEvent.objects.get().start_at == timedelta(hours=2)
