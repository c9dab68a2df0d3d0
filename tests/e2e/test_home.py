"""Home in a real browser: one glance says whether all will be ready, what it costs and what the site does."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import Page, expect

from charging.models import Charger
from depot import clock
from depot.models import Depot, User
from fleet.models import VehicleState
from tests import factories
from tests.charging.yard import Yard, make_yard
from tests.e2e.conftest import SIZES, Photograph, SignIn


@pytest.fixture(autouse=True)
def at_eleven(settings: Any) -> None:
    """Let the depot's clock run from a known moment."""
    settings.CLOCK_ANCHOR_SIMULATED = (factories.NOW + timedelta(seconds=5)).isoformat()
    settings.CLOCK_ANCHOR_WALL = clock.wall_now().isoformat()
    cache.clear()


@pytest.fixture
def yard(depot: Depot) -> Yard:
    return make_yard(depot, factories.NOW, buses=12)


@pytest.fixture
def home(sign_in: SignIn, viewer: User, yard: Yard, live_server: Any) -> Page:
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/{yard.depot.slug}/")
    expect(page.locator("[data-chart=site-today-figure][data-drawn]")).to_be_attached()
    return page


def test_home_answers_at_a_glance(home: Page, yard: Yard, photograph: Photograph) -> None:
    expect(home.get_by_text("13 of 13 vehicles will be ready")).to_be_visible()
    expect(home.get_by_text("exporting of 200 kW allowed")).to_be_visible()
    expect(home.get_by_text("Chargers connected:")).to_be_attached()
    expect(home.get_by_role("link", name="All 25 pull-outs of the next 24 hours")).to_be_visible()
    photograph(home, "home")


def test_what_is_not_sure_stands_out_and_says_until_when_to_act(
    sign_in: SignIn, viewer: User, yard: Yard, live_server: Any, photograph: Photograph
) -> None:
    VehicleState.objects.filter(vehicle__name="Bus 03").update(soc=0.2, plugged_in=False)
    VehicleState.objects.filter(vehicle__name="Bus 05").update(soc=0.25)
    Charger.objects.filter(connectors__vehicle__name="Bus 05").update(connected=False)
    factories.make_block(yard.depot, None, "404", depart_minute=850, return_minute=960)
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/{yard.depot.slug}/")
    expect(page.get_by_text("11 of 13 vehicles will be ready")).to_be_visible()
    row = page.get_by_role("listitem").filter(has_text="Bus 03")
    expect(row).to_contain_text("At risk")
    expect(row).to_contain_text(re.compile(r"It is not plugged in\. .*Act by \d\d:\d\d\."))
    expect(page.get_by_text("Block 404 has no vehicle.")).to_be_visible()
    expect(page.locator("[data-chart=site-today-figure][data-drawn]")).to_be_attached()
    photograph(page, "home-at-risk")


def test_refreshing_keeps_the_focus_and_the_place(home: Page) -> None:
    toggle = home.locator("#site").get_by_text("Show as table")
    toggle.focus()
    card = home.locator("#readiness [hx-get]")
    with home.expect_response(lambda response: response.url.endswith("/cards/readiness")):
        card.evaluate("(e) => htmx.trigger(e, 'refresh')")
    expect(toggle).to_be_focused()


def test_a_phone_sees_the_answer_first_and_nothing_sideways(home: Page) -> None:
    home.set_viewport_size(SIZES["phone"])
    answer = home.locator("#answer .answer").bounding_box()
    assert answer is not None and answer["y"] < 150
    home.wait_for_function(  # charts follow the new width a moment later
        f"document.documentElement.scrollWidth === {SIZES['phone']['width']}"
    )


def test_an_empty_depot_says_what_to_do(
    sign_in: SignIn, manager: User, depot: Depot, live_server: Any, photograph: Photograph
) -> None:
    page = sign_in(manager)
    page.goto(f"{live_server.url}/{depot.slug}/")
    expect(page.get_by_text("This depot has no vehicles yet.")).to_be_visible()
    expect(page.get_by_text("No meter has reported yet.")).to_be_visible()
    photograph(page, "home-empty")


def test_every_pull_out_is_one_click_away(home: Page, photograph: Photograph) -> None:
    home.get_by_role("link", name="All 25 pull-outs of the next 24 hours").click()
    expect(home.get_by_role("heading", name="Pull-outs of the next 24 hours")).to_be_visible()
    expect(home.get_by_role("row")).to_have_count(26)
    photograph(home, "pull-outs")
