"""The Tariffs page in a real browser: weeks laid out, a sheet checked, phone and dark."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import expect

from billing.models import PriceSeries, Tariff
from depot import clock
from depot.models import Depot, User
from tests.e2e.conftest import Photograph, SignIn

SHEET = Path(__file__).parents[2] / "depot/project/demo/tariff.json"


def test_prices_by_the_hour_and_a_sheet_that_is_checked(
    depot: Depot, manager: User, sign_in: SignIn, live_server, photograph: Photograph
) -> None:
    today = depot.local(clock.now()).date()
    Tariff.objects.create(
        depot=depot,
        name="EV-HP",
        utility="SDG&E",
        valid_from=today - timedelta(days=90),
        definition=json.loads(SHEET.read_text()),
    )
    PriceSeries.objects.create(depot=depot, kind="market", source="nordpool", area="SE3")
    page = sign_in(manager)
    page.goto(f"{live_server.url}/{depot.slug}/tariffs/")
    expect(page.locator("h1.answer")).to_contain_text("EV-HP")
    expect(page.locator("table.week").first).to_be_visible()
    photograph(page, "tariffs")
    page.get_by_role("link", name="New version").click()
    page.get_by_label("First day").fill((today + timedelta(days=30)).isoformat())
    page.get_by_role("button", name="Check it").click()
    expect(page.locator("h1.answer")).to_contain_text("No faults")
    photograph(page, "tariff-edit")
