"""The Plan page in a real browser: aligned charts, a drawer for each vehicle, tables, a new plan on request."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import Page, expect

from depot import clock
from depot.jobs import services
from depot.models import Depot, Job, User
from tests import factories
from tests.charging.yard import Yard, make_yard
from tests.e2e.conftest import SIZES, Photograph, SignIn


@pytest.fixture(autouse=True)
def at_eleven(settings: Any) -> None:
    """Let the depot's clock run from a known moment."""
    settings.CLOCK_ANCHOR_SIMULATED = (factories.NOW + timedelta(minutes=4)).isoformat()
    settings.CLOCK_ANCHOR_WALL = clock.wall_now().isoformat()
    cache.clear()


@pytest.fixture
def yard(depot: Depot) -> Yard:
    return make_yard(depot, factories.NOW, buses=12)


@pytest.fixture
def plan(sign_in: SignIn, dispatcher: User, yard: Yard, live_server: Any) -> Page:
    page = sign_in(dispatcher)
    page.goto(f"{live_server.url}/{yard.depot.slug}/plan/")
    wait_for_charts(page)
    return page


def wait_for_charts(page: Page) -> None:
    for name in ("power", "lanes"):
        expect(page.locator(f"[data-chart={name}-figure][data-drawn] .main-svg").first).to_be_attached()


def ground(page: Page, name: str) -> dict[str, float]:
    """Return where a chart's plot lies, without its axis labels."""
    box = page.locator(f"[data-chart={name}-figure] .nsewdrag").last.bounding_box()
    assert box is not None
    return dict(box)


def test_the_charts_share_one_time_axis(plan: Page, photograph: Photograph) -> None:
    power, lanes = ground(plan, "power"), ground(plan, "lanes")
    assert power["x"] == pytest.approx(lanes["x"], abs=1)
    assert power["width"] == pytest.approx(lanes["width"], abs=1)
    expect(plan.get_by_text("Re-planned")).to_contain_text("4 min ago")
    photograph(plan, "plan")


def test_a_vehicle_opens_beside_the_plan_and_closing_gives_the_focus_back(
    plan: Page, yard: Yard, photograph: Photograph
) -> None:
    link = plan.get_by_role("table").get_by_role("link", name="Bus 02", exact=True)
    link.focus()
    plan.keyboard.press("Enter")
    title = plan.get_by_role("heading", name="Bus 02")
    expect(title).to_be_focused()
    bus = yard.vehicles["Bus 02"]
    expect(plan.locator(f"[data-chart=vehicle-{bus.pk}-figure][data-drawn]")).to_be_attached()
    expect(plan.get_by_role("heading", name="What it does, and why")).to_be_visible()
    photograph(plan, "plan-vehicle")
    plan.keyboard.press("Escape")
    expect(title).to_have_count(0)
    expect(link).to_be_focused()


def test_a_click_on_a_lane_opens_that_vehicle(plan: Page) -> None:
    plan.locator("[data-chart=lanes-figure]").scroll_into_view_if_needed()
    box = ground(plan, "lanes")
    rows = 13
    plan.mouse.click(box["x"] + box["width"] * 0.9, box["y"] + box["height"] * (12 + 0.5) / rows)
    expect(plan.get_by_role("heading", name="Van 01")).to_be_visible()
    expect(plan.locator("#drawer").get_by_text("V2G is switched off for Van 01.")).to_be_visible()
    plan.get_by_role("link", name="Close").click()
    expect(plan.get_by_role("heading", name="Van 01")).to_have_count(0)


def test_every_chart_has_its_sentence_and_its_table(plan: Page) -> None:
    figure = plan.get_by_role("figure", name="Price and site power")
    expect(figure).to_contain_text("From now on vehicles take")
    toggle = figure.get_by_text("Show as table")
    toggle.focus()
    plan.keyboard.press("Enter")
    expect(figure.get_by_role("row", name="Tue 10 Mar 10:00 measured")).to_be_visible()
    expect(figure.get_by_role("row", name="Tue 10 Mar 11:00 planned")).to_be_visible()
    lanes = plan.get_by_role("figure", name="Vehicles")
    expect(lanes).to_contain_text("departures until 23:00 leave with the charge they need")
    lanes.get_by_text("Show as table").click()
    expect(lanes.get_by_role("row", name="Bus 01 Tue 10 Mar 01:00")).to_be_visible()


def test_the_comparison_opens_beside_the_plan(plan: Page, photograph: Photograph) -> None:
    plan.get_by_role("link", name="Compare").click()
    expect(plan.get_by_role("row", name="Together")).to_be_visible()
    photograph(plan, "plan-compare")


def test_a_new_plan_can_be_asked_for_and_is_shown_when_it_is_there(plan: Page) -> None:
    plan.get_by_role("button", name="Re-plan now").click()
    expect(plan.get_by_role("progressbar")).to_be_visible()
    expect(plan.get_by_text("waiting for its turn")).to_be_visible()
    with plan.expect_navigation():
        assert services.run(Job.objects.get(kind="plan").pk, beat=False)
    expect(plan.get_by_text("Re-planned")).to_contain_text(re.compile(r"just now|\d+ s ago"))


def test_it_works_without_scripts(
    browser: Any, plan: Page, yard: Yard, live_server: Any, problems: list[str]
) -> None:
    context = browser.new_context(java_script_enabled=False, storage_state=plan.context.storage_state())
    page = context.new_page()
    page.goto(f"{live_server.url}/{yard.depot.slug}/plan/")
    page.get_by_role("table").get_by_role("link", name="Bus 02", exact=True).click()
    expect(page.get_by_role("heading", name="What it does, and why")).to_be_visible()
    page.get_by_role("link", name="Close").click()
    page.get_by_role("button", name="Re-plan now").click()
    expect(page.get_by_text("waiting for its turn")).to_be_visible()
    context.close()


def test_a_phone_never_scrolls_sideways_and_targets_are_large_enough(plan: Page) -> None:
    plan.set_viewport_size(SIZES["phone"])
    plan.wait_for_function(  # charts follow the new width a moment later
        f"document.documentElement.scrollWidth === {SIZES['phone']['width']}"
    )
    small = plan.evaluate(
        """() => [...document.querySelectorAll("main a, main button, main summary")]
          .filter((e) => e.checkVisibility())
          .map((e) => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])
          .filter(([, box]) => box.height < 24 || box.width < 24)
          .map(([html]) => html)"""
    )
    assert small == []
