"""An order for one vehicle in a real browser: its cost first, then the confirmation, then the withdrawal."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from charging.models import Override
from tests.charging.yard import Yard
from tests.e2e.conftest import Photograph
from tests.e2e.test_plan import at_eleven, plan, yard  # noqa: F401 - the fixtures of the Plan page


def test_an_order_shows_its_cost_before_it_is_given_and_can_be_withdrawn(
    plan: Page,  # noqa: F811
    photograph: Photograph,
) -> None:
    plan.get_by_role("link", name="Order Bus 02").click()
    drawer = plan.locator("#drawer")
    expect(drawer.get_by_role("heading", name="Order for Bus 02")).to_be_focused()
    drawer.get_by_label("Order", exact=True).select_option("ready_by")
    drawer.get_by_label("Until, or by").fill("2026-03-10T20:00")
    drawer.get_by_role("button", name="Show what it costs").click()
    expect(drawer.get_by_text("Say which charge it must have.")).to_be_visible()
    drawer.get_by_label("Charge, %").fill("95")
    drawer.get_by_role("button", name="Show what it costs").click()
    expect(drawer.get_by_text("It costs about")).to_be_visible(timeout=20_000)
    expect(drawer.get_by_text("At 20:00 it has 95 %.")).to_be_visible()
    assert not Override.objects.exists()
    photograph(plan, "plan-order")
    with plan.expect_navigation():
        drawer.get_by_role("button", name="Give this order").click()
    orders = plan.get_by_role("region", name="Orders in force")
    expect(orders).to_contain_text("ready by Tue 20:00 with 95 %")
    photograph(plan, "plan-orders")
    orders.get_by_role("button", name="Withdraw the order for Bus 02").click()
    expect(plan.get_by_text("the order is withdrawn")).to_be_visible()
    expect(orders).to_have_count(0)


def test_an_order_can_be_given_without_scripts(
    browser: Any,
    plan: Page,  # noqa: F811
    yard: Yard,  # noqa: F811
    live_server: Any,
) -> None:
    context = browser.new_context(java_script_enabled=False, storage_state=plan.context.storage_state())
    page = context.new_page()
    page.goto(f"{live_server.url}/{yard.depot.slug}/plan/")
    page.get_by_role("link", name="Order Van 01").click()
    page.get_by_label("Order", exact=True).select_option("limit")
    page.get_by_label("At most, kW").fill("11")
    page.get_by_role("button", name="Show what it costs").click()
    expect(page.get_by_text("Van 01: at most 11 kW until")).to_be_visible()
    page.get_by_role("button", name="Give this order").click()
    expect(page.get_by_role("region", name="Orders in force")).to_contain_text("at most 11 kW")
    assert Override.objects.get().vehicle == yard.vehicles["Van 01"]
    context.close()
