"""Every page of the product, on a desktop and a phone, light and dark: axe finds nothing, all fits, all can be hit.

The addresses are compared with the URL map, so that a new page is looked at the day it is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from playwright.sync_api import Page

from billing.services.bills import bill_month
from depot import clock
from depot.alerts.services import Cause, raise_alert
from depot.jobs.services import run
from depot.models import Depot, Job, User
from fleet.models import Block, Outage, ServiceCalendar
from tests import factories
from tests.billing.money import fill, month_grid
from tests.charging.yard import Yard, make_yard
from tests.e2e.conftest import SIZES, Photograph, SignIn
from tests.factories import make_block
from tests.fleet.test_battery_pages import make_health

FEBRUARY = date(2026, 2, 1)
NO_PAGES = {
    # parts of pages
    "billing:card-money", "charging:board-changes", "charging:card-answer", "charging:card-readiness",
    "charging:card-site", "charging:connection", "charging:plan-status", "depot:alert-bell", "depot:card-alerts",
    "depot:card-sources", "fleet:card-battery", "charging:card-portfolio",
    # files
    "billing:bill-csv", "billing:bill-inputs", "billing:bill-pdf", "billing:savings-bills",
    "billing:savings-document", "billing:savings-intervals", "billing:savings-statement", "charging:export-by-vehicle",
    "charging:not-ready-csv", "fleet:schedule-download", "fleet:schedule-errors", "fleet:schedule-template",
    "fleet:schedule-template-xlsx", "charging:report-part", "depot:audit-csv",
    # what one does on a page
    "billing:bill-close", "billing:bill-correct", "billing:prices-save", "billing:prices-source",
    "billing:programme-event-delete", "billing:tariff-compare", "depot:job-cancel", "fleet:schedule-check",
    "fleet:schedule-days", "charging:board-station-order", "charging:board-station-revoke",
    "charging:duty-late", "charging:duty-out",
    "charging:order-confirm", "charging:order-withdraw", "charging:outage-end", "charging:replan",
    "charging:commissioning-test", "charging:commissioning-sign",
    "depot:alert-acknowledge", "depot:alert-snooze", "fleet:calendar-days", "fleet:calendar-follow",
    "fleet:calendar-temperature", "fleet:schedule-columns", "fleet:schedule-save", "fleet:schedule-settings",
    "fleet:schedule-undo",
}  # fmt: skip
"""Addresses below a depot that are no pages of their own."""
LOOK = """(options) => axe.run(document, options).then((found) => found.violations
  .filter((one) => ["serious", "critical"].includes(one.impact))
  .map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)
    + " " + node.any.map((check) => check.message).join(" ").slice(0, 160)).join(" | ")}`))"""
RULES = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
COLOURS = {"resultTypes": ["violations"], "runOnly": {"type": "rule", "values": ["color-contrast"]}}
LOOKS = (
    ("desktop", "light", RULES),
    ("desktop", "dark", COLOURS),
    ("phone", "dark", COLOURS),
    ("phone", "light", RULES),
)
"""A theme changes colours only."""
SETTLED = """() => document.readyState === "complete" && !document.querySelector(
  ".skeleton, .htmx-request, [data-chart]:not([data-drawn])")"""
SMALL = """() => [...document.querySelectorAll("a, button, summary, select, input, textarea")]
  .filter((e) => e.checkVisibility() && !e.closest("p, .tile, .skip-link, .visually-hidden"))
  .filter((e) => !(e.matches("input[type=checkbox], input[type=radio]") && e.closest("label")))
  .map((e) => [e.outerHTML.slice(0, 120).replaceAll("\\n", ""), e.getBoundingClientRect()])
  .filter(([, box]) => box.height < 24 || box.width < 24)
  .map(([html, box]) => `${html} is ${box.width.toFixed(0)} x ${box.height.toFixed(0)}`)"""


@pytest.fixture(autouse=True)
def at_eleven(settings: Any) -> None:
    """Let the depot's clock run from a known moment."""
    settings.CLOCK_ANCHOR_SIMULATED = (factories.NOW + timedelta(seconds=5)).isoformat()
    settings.CLOCK_ANCHOR_WALL = clock.wall_now().isoformat()
    cache.clear()


@pytest.fixture
def yard(depot: Depot) -> Yard:
    """Make a depot of which every page has something to show."""
    made = make_yard(depot, factories.NOW, buses=4)
    grid = month_grid(depot, FEBRUARY)
    evening = [17 <= depot.local(at).hour < 20 for at in grid.times()]
    fill(
        depot,
        grid,
        [20.0 if late else 60.0 for late in evening],
        [180.0 if late else 50.0 for late in evening],
        wear=0.01,
    )
    for day in (FEBRUARY, factories.NOW.date()):
        bill_month(depot, day, factories.NOW)
    for number, vehicle in enumerate(made.vehicles.values()):
        for back in (1, 15, 30):
            make_health(vehicle, factories.NOW.date() - timedelta(days=back), soh=0.95 - 0.01 * number)
    Outage.objects.create(
        vehicle=made.vehicles["Bus 04"],
        from_at=factories.NOW - timedelta(hours=1),
        reason="Door",
        made_at=factories.NOW,
    )
    make_block(depot, None, "404", depart_minute=850, return_minute=960)
    for level in ("critical", "warning"):
        raise_alert(depot, Cause(f"ready:7:{level}", level, "Van 03 will not be ready", "Act by 11:50."))
    return made


def sent(client: Client, address: str, name: str, text: str, **fields: str) -> str:
    """Upload a file as the user of `client`; return the address one is led to."""
    file = SimpleUploadedFile(name, text.encode(), "text/csv")
    return str(client.post(address, {"file": file, **fields}).headers["Location"])


def pages_of(yard: Yard, client: Client) -> dict[str, str]:
    """Return every page's name and address, and those of pages that look different with other rows."""
    depot, bus = yard.depot, yard.vehicles["Bus 02"]
    connector = bus.connectors.get()
    tariff = depot.tariffs.get()
    block, day = Block.objects.get(block_id="202 PM"), "2026-03-11"
    school = ServiceCalendar.objects.create(depot=depot, name="School", country="US")

    def at(name: str, *args: Any) -> str:
        return reverse(name, args=[depot.slug, *args])

    blocks = "block_id,service_days,depart_at,return_at,distance_km,vehicle\n"
    upload = at("fleet:schedule-upload")
    prices = at("billing:prices-upload")
    good = sent(client, upload, "good.csv", blocks + "101,Mon-Fri,06:30,08:45,40,Bus 01\n")
    saved = sent(client, upload, "more.csv", blocks + "909,Sat,06:30,08:45,40,Bus 01\n")
    client.post(f"{saved}save/", {"mode": "add"})
    compared = client.post(at("billing:tariff-compare"), {"tariff": [f"own-{tariff.pk}"]})
    comparison = Job.objects.get(kind="compare_tariffs").pk
    waiting = compared.headers["Location"].partition("?")[0]
    pages = {
        "home": at("home"),
        "charging:pull-outs": at("charging:pull-outs"),
        "charging:board": at("charging:board"),
        "charging:board yard": at("charging:board") + "?sort=yard",
        "charging:board technician": at("charging:board") + "?view=technician",
        "charging:board-layout": at("charging:board-layout"),
        "charging:board-connector": at("charging:board-connector", connector.pk),
        "charging:board-station": at("charging:board-station", connector.charger_id),
        "charging:plan": at("charging:plan"),
        "charging:plan-compare": at("charging:plan-compare"),
        "charging:plan-vehicle": at("charging:plan-vehicle", bus.pk),
        "charging:order": at("charging:order", bus.pk),
        "charging:day": at("charging:day") + f"?date={day}",
        "charging:proposal": at("charging:proposal") + f"?date={day}",
        "charging:duty": at("charging:duty", block.pk, day),
        "charging:not-ready": at("charging:not-ready") + "?month=2026-03",
        "charging:vehicles": at("charging:vehicles"),
        "charging:vehicle": at("charging:vehicle", bus.pk),
        "charging:reports": at("charging:reports"),
        "charging:report": at("charging:report", "2026"),
        "charging:commissioning": at("charging:commissioning", connector.charger_id),
        "depot:audit": at("depot:audit"),
        "fleet:schedules": at("fleet:schedules"),
        "fleet:calendar": at("fleet:calendar") + "?month=2026-11",
        "fleet:calendar-new": at("fleet:calendar-new"),
        "fleet:calendar-edit": at("fleet:calendar-edit", school.pk),
        "fleet:schedule-upload": upload,
        "fleet:schedule-preview": good,
        "fleet:schedule-preview saved": saved,
        "fleet:schedule-preview errors": sent(
            client, upload, "bad.csv", blocks + "101,Mon-Fry,06:75,,4x,Bs\n"
        ),
        "fleet:battery": at("fleet:battery"),
        "fleet:battery-vehicle": at("fleet:battery-vehicle", bus.pk),
        "billing:savings": at("billing:savings") + "?month=2026-02",
        "billing:bills": at("billing:bills"),
        "billing:bill": at("billing:bill", "2026-02"),
        "billing:bill-reconcile": at("billing:bill-reconcile", "2026-02"),
        "billing:programmes": at("billing:programmes"),
        "billing:tariffs": at("billing:tariffs"),
        "billing:tariff": at("billing:tariff", tariff.pk),
        "billing:tariff-new": at("billing:tariff-new") + f"?from={tariff.pk}",
        "billing:tariff-edit": at("billing:tariff-edit", tariff.pk),
        "billing:tariff-month": at("billing:tariff-month", tariff.pk),
        "billing:tariff-comparison": at("billing:tariff-comparison", comparison),
        "billing:prices-upload": prices,
        "billing:prices-check": sent(
            client, prices, "prices.csv", "start,A (USD/MWh)\n2026-03-10 00:00,12.5\n", kind="market"
        ),
        "depot:alerts": at("depot:alerts"),
        "depot:alerts-email": at("depot:alerts-email"),
        "depot:job": waiting,
        "depots": reverse("depots"),
    }
    assert run(comparison, beat=False)
    return pages


def names_below_depots() -> set[str]:
    """Return the names of all addresses below a depot."""

    def walk(patterns: Any, space: str) -> Iterator[str]:
        for one in patterns:
            if isinstance(one, URLResolver):
                yield from walk(one.url_patterns, f"{one.namespace}:" if one.namespace else space)
            elif isinstance(one, URLPattern):
                yield f"{space}{one.name}"

    below = [one for one in get_resolver().url_patterns if str(one.pattern).startswith("<slug:slug>/")]
    return set(walk(below, ""))


def found_on(page: Page, name: str) -> list[str]:
    """Return what is wrong with the page that is open, in every size and theme."""
    page.evaluate(AXE_SCRIPT)  # as the debugger does it: the policy of the page forbids scripts in it
    found = []
    for size, theme, rules in LOOKS:
        page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        found += [f"{name}, {size}, {theme}: {words}" for words in page.evaluate(LOOK, rules)]
        if size == "phone" and theme == "light":
            page.wait_for_timeout(150)  # charts follow the new width a moment later
            width = page.evaluate("document.documentElement.scrollWidth")
            found += [f"{name} is {width} px wide on a phone"] if width > SIZES[size]["width"] else []
            found += [f"{name} on a phone: {words}" for words in page.evaluate(SMALL)]
    return found


@pytest.fixture
def owner(depot: Depot, other_depot: Depot) -> User:
    user = factories.make_person(depot, "owner")
    factories.Membership.objects.create(user=user, depot=other_depot, role="viewer")
    return user


def test_every_page_can_be_read_and_used_by_everybody(
    sign_in: SignIn, owner: User, yard: Yard, live_server: Any, photograph: Photograph
) -> None:
    client = Client()
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    pages = pages_of(yard, client)
    assert {name.partition(" ")[0] for name in pages} | NO_PAGES >= names_below_depots()
    page = sign_in(owner)
    page.emulate_media(reduced_motion="reduce")
    found = []
    for name, address in pages.items():
        page.goto(f"{live_server.url}{address}")
        page.wait_for_function(SETTLED)
        assert page.locator("main h1").count() == 1, name
        found += found_on(page, name)
        page.set_viewport_size(SIZES["desktop"])  # type: ignore[arg-type]
        if os.environ.get("DEPOT_SCREENSHOTS"):
            photograph(page, f"every-{name.replace(':', '-').replace(' ', '-')}")
    assert not found, "\n".join(found)
