"""The live board in a real browser: one look says what every connector does; it stays itself while it refreshes."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import Page, expect

from charging.models import Charger, ChargingSession, Connector, MeterSample
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
    """Make a yard with a connector in every state, laid out in two rows with a gap."""
    made = make_yard(depot, factories.NOW, buses=12)
    connectors = {row.vehicle.name: row for row in Connector.objects.select_related("vehicle", "charger")}
    for number, row in enumerate(connectors.values()):
        row.yard_row, row.yard_place = 1 + number // 7, 1 + number % 7 + (number > 9)
        row.save()
    powers = {"Bus 02": 41.6, "Bus 03": 0.0, "Bus 06": 58.0, "Bus 11": 0.0}
    for name, power_kw in powers.items():
        MeterSample.objects.filter(session__unplugged_at=None, session__vehicle__name=name).update(
            power_kw=power_kw
        )
    VehicleState.objects.filter(vehicle__name="Bus 11").update(soc=1.0)
    VehicleState.objects.filter(vehicle__name="Bus 04").update(
        soc=0.2, soc_observed_at=factories.NOW - timedelta(hours=3)
    )
    Connector.objects.filter(vehicle__name="Bus 07").update(status="faulted")
    ChargingSession.objects.filter(vehicle__name="Bus 08").update(unplugged_at=factories.NOW)
    VehicleState.objects.filter(vehicle__name="Bus 08").update(plugged_in=False, soc=0.22)
    Connector.objects.filter(vehicle__name__in=["Bus 08", "Van 01"]).update(status="available")
    factories.make_charger(depot, connected=True, booted_at=factories.NOW)
    # heard of for as long as the test may take, but for one
    Charger.objects.update(last_seen_at=factories.NOW + timedelta(minutes=10))
    Charger.objects.filter(connectors__vehicle__name="Bus 05").update(
        connected=False, last_seen_at=factories.NOW
    )
    return made


@pytest.fixture
def board(sign_in: SignIn, dispatcher: User, yard: Yard, live_server: Any) -> Page:
    page = sign_in(dispatcher)
    page.goto(f"{live_server.url}/{yard.depot.slug}/board/")
    return page


def test_the_board_refreshes_in_place_and_a_tile_opens_its_details(
    board: Page, yard: Yard, live_server: Any, photograph: Photograph
) -> None:
    expect(board.get_by_text("11 of 14 connectors have a vehicle")).to_be_visible()
    photograph(board, "board")
    link = board.get_by_role("link", name="Bus 02")
    link.focus()
    board.evaluate("window.scrollTo(0, 120)")
    MeterSample.objects.filter(session__vehicle=yard.vehicles["Bus 02"]).update(power_kw=33.0)
    refreshed = board.locator(".tile", has_text="Bus 02").get_by_text("+33 kW")
    expect(refreshed).to_be_visible(timeout=12_000)
    expect(link).to_be_focused()
    assert board.evaluate("window.scrollY") == 120
    board.keyboard.press("Enter")
    drawer = board.locator("#drawer")
    expect(drawer.get_by_role("heading", name=re.compile(r"^B-\d+: Bus 02$"))).to_be_visible()
    expect(drawer.locator("[data-chart][data-drawn]")).to_be_attached()
    board.keyboard.press("Escape")
    expect(link).to_be_focused()
    small = [box for box in _boxes(board, ".tile") if box["height"] < 44 or box["width"] < 44]
    assert small == []


def _boxes(page: Page, selector: str) -> list[dict[str, float]]:
    return [dict(one.bounding_box() or {}) for one in page.locator(selector).all()]


def test_the_yard_is_laid_out_without_scripts(
    browser: Any, sign_in: SignIn, technician: User, yard: Yard, live_server: Any, photograph: Photograph
) -> None:
    page = sign_in(technician)
    page.goto(f"{live_server.url}/{yard.depot.slug}/board/?view=technician")
    faulty = yard.vehicles["Bus 07"].connectors.get()
    expect(page.locator(f"#station-{faulty.charger_id}")).to_contain_text(f"Fault at {faulty}.")
    photograph(page, "board-stations")
    page.get_by_role("link", name=faulty.charger.name, exact=True).click()
    page.get_by_label("What it shall do").select_option("Restart when it is idle")
    page.get_by_label("Yes, do this at").check()
    page.get_by_role("button", name="Order it").click()
    expect(page.get_by_text("Ordered: restart when it is idle.")).to_be_visible()
    photograph(page, "board-station")
    context = browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    plain = context.new_page()
    plain.goto(f"{live_server.url}/{yard.depot.slug}/board/?sort=yard")
    plain.get_by_role("link", name="Edit the layout").click()
    free = Connector.objects.get(vehicle=None)
    plain.get_by_label(f"Row of {free}", exact=True).fill("3")
    plain.get_by_label(f"Place of {free}", exact=True).fill("1")
    plain.get_by_role("button", name="Save the layout").click()
    expect(plain.get_by_role("region", name="Row 3")).to_contain_text(str(free))
    context.close()
    page.goto(f"{live_server.url}/{yard.depot.slug}/board/?sort=yard")
    photograph(page, "board-yard")
    page.get_by_role("link", name="Edit the layout").click()
    photograph(page, "board-layout")
    page.set_viewport_size(SIZES["phone"])  # type: ignore[arg-type]
    page.wait_for_function(f"document.documentElement.scrollWidth === {SIZES['phone']['width']}")
