"""Vehicles, reports, several depots, the audit trail and commissioning in a real browser."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import expect

from billing.services.bills import bill_month
from charging.models import Charger
from charging.services.operations import operate
from charging.services.vehicle_days import record_vehicle_days
from depot import clock
from depot.models import Alert, Depot, Membership, User
from fleet.models import Outage, TelemetryReading
from tests.charging.yard import Yard, make_yard
from tests.e2e.conftest import Photograph, SignIn
from tests.e2e.test_money import fits_a_phone, is_drawn
from tests.factories import NOW, make_depot
from tests.fleet.test_battery_pages import make_health


@pytest.fixture(autouse=True)
def at_eleven(settings: Any) -> None:
    """Let the depot's clock run from a known moment."""
    settings.CLOCK_ANCHOR_SIMULATED = (NOW + timedelta(seconds=5)).isoformat()
    settings.CLOCK_ANCHOR_WALL = clock.wall_now().isoformat()
    cache.clear()


@pytest.fixture
def yard(depot: Depot) -> Yard:
    yard = make_yard(depot, NOW, buses=6)
    bus = yard.vehicles["Bus 02"]
    bus.type.warranty_throughput_kwh = 96_000
    bus.type.save()
    for vehicle in yard.vehicles.values():
        make_health(vehicle)
    TelemetryReading.objects.bulk_create(
        TelemetryReading(vehicle=bus, observed_at=at, received_at=at, source="telematics", soc=soc)
        for at, soc in ((NOW - timedelta(hours=h), 0.5 + 0.35 * ((h * 7) % 24) / 24) for h in range(18, 72))
    )
    Outage.objects.create(
        vehicle=bus,
        from_at=NOW - timedelta(days=9),
        to_at=NOW - timedelta(days=8),
        reason="Brakes",
        made_at=NOW,
    )
    Alert.objects.create(
        depot=depot, key=f"charger:{bus.connectors.get().charger_id}", level="warning", raised_at=NOW, seen_at=NOW,
        title="Charger C-02 does not answer", detail="It keeps to its safe level of 6 kW until it is back.",
    )  # fmt: skip
    bill_month(depot, NOW.date(), NOW)
    record_vehicle_days(depot, NOW)
    return yard


def test_a_vehicle_is_found_from_home_and_tells_all_of_itself(
    sign_in: SignIn, manager: User, yard: Yard, live_server: Any, photograph: Photograph
) -> None:
    page = sign_in(manager)
    page.goto(f"{live_server.url}/{yard.depot.slug}/")
    page.locator("#readiness").get_by_role("link", name="Bus 02").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Bus 02 is plugged in at")
    is_drawn(page, "trace")
    expect(page.get_by_role("heading", name="Coming blocks")).to_be_visible()
    fits_a_phone(page)
    photograph(page, "vehicle")
    page.get_by_role("link", name="All vehicles").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("7 vehicles:")
    fits_a_phone(page)
    photograph(page, "vehicles")


def test_a_month_is_reported(
    sign_in: SignIn, manager: User, yard: Yard, live_server: Any, photograph: Photograph
) -> None:
    page = sign_in(manager)
    page.goto(f"{live_server.url}/{yard.depot.slug}/reports/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("March 2026 cost $")
    expect(page.get_by_role("row", name="Rest of the site")).to_be_visible()
    page.get_by_text("How the bill is shared").click()
    fits_a_phone(page)
    photograph(page, "report")
    page.emulate_media(media="print")
    photograph(page, "report-print")
    page.emulate_media(media="screen")
    page.get_by_role("link", name="2026", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2026 cost $")


def test_several_depots_stand_in_a_table_above_home(
    sign_in: SignIn, manager: User, yard: Yard, live_server: Any, photograph: Photograph
) -> None:
    harbor = make_depot("Harbor", time_zone="America/Los_Angeles")
    make_yard(harbor, NOW, buses=2)
    Charger.objects.filter(depot=harbor).update(connected=False)
    for one in (harbor, make_depot("New Yard")):
        Membership.objects.create(user=manager, depot=one, role="manager")
    page = sign_in(manager)
    page.goto(f"{live_server.url}/{yard.depot.slug}/")
    expect(page.get_by_role("region", name="All depots").get_by_role("row", name="Harbor")).to_be_visible()
    expect(page.locator("[data-chart=site-today-figure][data-drawn]")).to_be_attached()
    fits_a_phone(page)
    photograph(page, "portfolio")
    page.goto(live_server.url)
    expect(page.get_by_role("heading", level=1)).to_contain_text("in 3 depots will be ready")
    fits_a_phone(page)
    photograph(page, "depots")


def test_a_technician_commissions_a_charger_and_finds_it_in_the_trail(
    sign_in: SignIn, technician: User, yard: Yard, live_server: Any, photograph: Photograph
) -> None:
    charger = Charger.objects.filter(depot=yard.depot).order_by("pk")[1]
    operate(charger, "restart", technician)
    page = sign_in(technician)
    page.goto(f"{live_server.url}/{yard.depot.slug}/board/stations/{charger.pk}/")
    page.get_by_role("link", name="Commissioning").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2 of 5 steps are done; next: test a limit.")
    fits_a_phone(page)
    page.get_by_label("This vehicle may be used").check()
    page.get_by_role("button", name="Order the test").click()
    expect(page.get_by_text("The test is ordered.")).to_be_visible()
    photograph(page, "commissioning")
    page.get_by_label("Account of").click()
    page.get_by_role("link", name="Audit trail").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("acts have changed something")
    page.get_by_label("What", exact=True).select_option("chargers")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("cell", name="keep to 6 kW for a test")).to_be_visible()
    fits_a_phone(page)
    photograph(page, "audit")
