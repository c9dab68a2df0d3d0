"""Alerts in a real browser: from the bell to what needs you, and on to who sees to it."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from playwright.sync_api import expect

from depot.alerts import acknowledge, raise_alert
from depot.alerts.services import Cause
from depot.models import Alert, Depot, User
from tests.e2e.conftest import Photograph, SignIn

CAUSES = (
    Cause(
        "ready:7:2026-03-10",
        "critical",
        "Van 03 will not be ready for 13:45 (block 301)",
        "It is not plugged in. It has 52 % and needs 70 %. Act by 11:50.",
    ),
    Cause("unplugged:9", "warning", "Bus 08 was unplugged at 10:20 before it was ready"),
    Cause(
        "peak:demand",
        "warning",
        "A new demand peak is about to be set: 230 kW",
        "On-peak: 212 kW is the peak so far or planned. If the site draws as now until 11:15, "
        "this period costs $180 more.",
    ),
    Cause("charger:5", "warning", "Charger C-14 does not answer", "It keeps to its safe charging level."),
    Cause("clock:3", "warning", "The clock of charger C-03 is 90 s slow"),
)


def test_an_alert_is_put_aside_or_seen_to(
    sign_in: SignIn, dispatcher: User, manager: User, depot: Depot, live_server: Any, photograph: Photograph
) -> None:
    for cause in CAUSES:
        raise_alert(depot, cause)
    Alert.objects.filter(key="unplugged:9").update(cleared_at=timezone.now())
    acknowledge(Alert.objects.get(key="charger:5"), manager)
    page = sign_in(dispatcher)
    page.goto(f"{live_server.url}/{depot.slug}/")
    page.get_by_role("link", name="2 open alerts").click()
    expect(page.get_by_role("heading", name="2 things need you.")).to_be_visible()
    expect(page.get_by_role("region", name="Seen to, or put aside")).to_contain_text("manager sees to it")
    photograph(page, "alerts")
    page.get_by_label("Put aside: A new demand peak is about to be set").click()
    page.get_by_role("button", name="For 4 hours").click()
    expect(page.get_by_role("heading", name="1 thing needs you.")).to_be_visible()
    page.get_by_role("button", name="I see to it: Van 03").click()
    expect(page.get_by_role("heading", name="Nothing needs you now.")).to_be_visible()
    page.get_by_role("link", name="By e-mail").click()
    page.get_by_label("Send me alerts by e-mail").check()
    photograph(page, "alerts-email")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your choice is saved.")).to_be_visible()
