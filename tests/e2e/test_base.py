"""The frame in a real browser: log-in, places, themes, sizes, keyboard, cards and charts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from depot.alerts.services import Cause, raise_alert
from depot.models import Depot, User
from tests import factories
from tests.e2e.conftest import SIZES, Photograph, SignIn

PASSWORD = "a long walk by the harbour 7"
CHARTS = ("power", "gantt", "waterfall", "days", "soc")


@pytest.fixture
def alerts(depot: Depot) -> None:
    raise_alert(
        depot, Cause("van", "critical", "Van 03 must be plugged in by 11:50", "It needs 70 % and has 52 %.")
    )
    raise_alert(depot, Cause("charger", "warning", "Charger C-12 does not follow its plan"))


@pytest.fixture
def lab(settings: Any, sign_in: SignIn, manager: User, depot: Depot, live_server: Any) -> Page:
    """Give the page with every chart and part, drawn."""
    settings.ROOT_URLCONF = "tests.e2e.lab"
    page = sign_in(manager)
    page.goto(f"{live_server.url}/{depot.slug}/lab")
    wait_for_charts(page)
    return page


def wait_for_charts(page: Page) -> None:
    for name in CHARTS:
        expect(page.locator(f"[data-chart={name}-figure][data-drawn] .main-svg").first).to_be_attached()


def colour_of(page: Page, selector: str, name: str = "background-color") -> str:
    return page.locator(selector).first.evaluate(
        "(e, name) => getComputedStyle(e).getPropertyValue(name)", name
    )


def test_log_in_leads_home_and_log_out_leads_back(
    page: Page, live_server: Any, dispatcher: User, depot: Depot, photograph: Photograph
) -> None:
    dispatcher.set_password(PASSWORD)
    dispatcher.save()
    page.goto(live_server.url)
    photograph(page, "log-in")
    page.get_by_label("Username").fill(dispatcher.username)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed")
    page.get_by_label("Username").fill(dispatcher.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{live_server.url}/{depot.slug}/")
    page.get_by_label(f"Account of {dispatcher.username}").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_home_shows_alerts_and_says_where_one_is(
    sign_in: SignIn, viewer: User, depot: Depot, alerts: None, live_server: Any, photograph: Photograph
) -> None:
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/{depot.slug}/")
    expect(page.get_by_text("Van 03 must be plugged in by 11:50")).to_be_visible()
    expect(page.get_by_role("link", name="2 open alerts")).to_be_visible()
    here = page.get_by_role("navigation", name="Places").get_by_role("link", name="Home")
    expect(here).to_have_attribute("aria-current", "page")
    photograph(page, "home-frame")


def test_the_theme_follows_the_system_and_a_choice_is_remembered(
    sign_in: SignIn, viewer: User, depot: Depot, live_server: Any
) -> None:
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/{depot.slug}/")
    light = colour_of(page, "body")
    page.emulate_media(color_scheme="dark")
    dark = colour_of(page, "body")
    assert light != dark
    switch = page.get_by_role("button", name="Dark theme")
    expect(switch).to_have_attribute("aria-pressed", "true")
    switch.click()
    assert colour_of(page, "body") == light
    page.reload()
    assert colour_of(page, "body") == light
    expect(page.get_by_role("button", name="Dark theme")).to_have_attribute("aria-pressed", "false")


def test_the_keyboard_reaches_everything_and_focus_is_seen(
    sign_in: SignIn, viewer: User, depot: Depot, live_server: Any
) -> None:
    factories.Membership.objects.create(user=viewer, depot=factories.make_depot("Harbor"), role="viewer")
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/{depot.slug}/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    switcher = page.get_by_label("Depot: Maple Street. Switch")
    switcher.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert colour_of(page, ".menu > summary", "outline-style") == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("banner").get_by_role("link", name="Harbor")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("banner").get_by_role("link", name="Harbor")).to_be_hidden()
    expect(switcher).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{live_server.url}/harbor/")


def test_a_phone_has_its_places_below_and_never_scrolls_sideways(lab: Page) -> None:
    lab.set_viewport_size(SIZES["phone"])
    places = lab.get_by_role("navigation", name="Places").bounding_box()
    assert places is not None
    assert places["y"] + places["height"] == pytest.approx(SIZES["phone"]["height"], abs=1)
    bar = lab.get_by_role("navigation", name="Places")
    for link in [*bar.get_by_role("link").all(), bar.locator("summary")]:
        box = link.bounding_box()
        assert box is not None and box["height"] >= 44 and box["width"] >= 44
    lab.wait_for_function(  # charts follow the new width a moment later
        f"document.documentElement.scrollWidth === {SIZES['phone']['width']}"
    )


def test_a_phone_finds_the_other_places_and_the_theme_in_menus(
    lab: Page, live_server: Any, depot: Depot
) -> None:
    lab.set_viewport_size(SIZES["phone"])
    bar = lab.get_by_role("navigation", name="Places")
    expect(bar.get_by_role("link")).to_have_count(4)
    bar.get_by_text("More").click()
    bar.get_by_role("link", name="Tariffs").click()
    expect(lab).to_have_url(f"{live_server.url}/{depot.slug}/tariffs/")
    light = colour_of(lab, "body")
    lab.get_by_label("Account of").click()
    lab.get_by_role("button", name="Dark theme").click()
    assert colour_of(lab, "body") != light


def test_targets_are_large_enough_to_hit(lab: Page) -> None:
    small = lab.evaluate(
        """() => [...document.querySelectorAll("a, button, summary, input, select")]
          .filter((e) => e.checkVisibility() && !e.closest(".skip-link"))
          .map((e) => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])
          .filter(([, box]) => box.height < 24 || box.width < 24)
          .map(([html]) => html)"""
    )
    assert small == []


def test_charts_are_drawn_in_both_themes_and_sizes(lab: Page, photograph: Photograph) -> None:
    light = colour_of(lab, "[data-chart=power-figure] .scatterlayer .js-fill", "fill")
    lab.emulate_media(color_scheme="dark")
    fill = lab.locator("[data-chart=power-figure] .scatterlayer .js-fill").first
    expect(fill).not_to_have_css("fill", light)
    lab.emulate_media(color_scheme="light")
    photograph(lab, "charts")


def test_hovering_a_chart_says_time_value_and_unit(lab: Page) -> None:
    canvas = lab.locator("[data-chart=power-figure]")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    lab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.7)
    lab.mouse.move(box["x"] + box["width"] / 2 + 2, box["y"] + box["height"] * 0.7)
    label = canvas.locator(".hoverlayer")
    expect(label).to_contain_text(re.compile(r"Tue 24 Nov \d\d:\d\d"))
    expect(label).to_contain_text(re.compile(r"Grid : [\d.,]+ kW"))
    expect(label).to_contain_text(re.compile(r"Price : 0\.\d+ \$/kWh"))


def test_every_chart_has_a_sentence_and_a_table_for_the_keyboard(lab: Page) -> None:
    figure = lab.get_by_role("figure", name="Savings in October")
    expect(figure).to_contain_text("V2G and shifting saved $1,940 net.")
    toggle = figure.get_by_text("Show as table")
    toggle.focus()
    lab.keyboard.press("Enter")
    expect(figure.get_by_role("row", name="Unmanaged 6,022")).to_be_visible()
    toggles = lab.get_by_text("Show as table")
    assert toggles.count() == len(CHARTS)


def test_cards_keep_focus_and_charts_while_nothing_changed(lab: Page) -> None:
    card = lab.locator("#swap-card [hx-get]")
    toggle = card.get_by_text("Show as table")
    toggle.focus()
    with lab.expect_response(lambda response: response.url.endswith("/lab/fragment")):
        card.evaluate("(e) => htmx.trigger(e, 'refresh')")
    lab.wait_for_timeout(200)
    expect(toggle).to_be_focused()
    expect(card.locator("[data-drawn]")).to_have_count(1)


def test_a_card_says_when_it_could_not_be_refreshed(lab: Page, problems: list[str]) -> None:
    lab.route("**/lab/fragment", lambda route: route.abort())
    card = lab.locator("#swap-card")
    card.locator("[hx-get]").evaluate("(e) => htmx.trigger(e, 'refresh')")
    expect(card.get_by_text("could not be refreshed")).to_be_visible()
    expect(card.locator(".main-svg").first).to_be_attached()
    lab.unroute("**/lab/fragment")
    card.locator("[hx-get]").evaluate("(e) => htmx.trigger(e, 'refresh')")
    expect(card.get_by_text("could not be refreshed")).to_be_hidden()
    assert all("ERR_FAILED" in problem or "htmx" in problem for problem in problems)
    problems.clear()


def test_an_expired_log_in_is_asked_for_as_a_page(lab: Page) -> None:
    lab.context.clear_cookies()
    lab.locator("#swap-card [hx-get]").evaluate("(e) => htmx.trigger(e, 'refresh')")
    expect(lab.get_by_role("heading", name="Log in")).to_be_visible()
    expect(lab.get_by_role("navigation", name="Places")).to_have_count(0)


def test_pages_without_charts_do_not_load_the_chart_library(
    sign_in: SignIn, viewer: User, depot: Depot, live_server: Any
) -> None:
    page = sign_in(viewer)
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    page.goto(f"{live_server.url}/{depot.slug}/")
    page.wait_for_load_state("networkidle")
    assert loaded and not any("plotly-basic" in url for url in loaded)


def test_an_unknown_address_is_explained(
    sign_in: SignIn, viewer: User, live_server: Any, problems: list[str], photograph: Photograph
) -> None:
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/nowhere/at/all")
    expect(page.get_by_role("heading", name="There is nothing at this address.")).to_be_visible()
    photograph(page, "not-found")
    problems.clear()


def test_the_clock_of_the_depot_runs_on(
    sign_in: SignIn, viewer: User, depot: Depot, live_server: Any
) -> None:
    page = sign_in(viewer)
    page.clock.install()
    page.goto(f"{live_server.url}/{depot.slug}/")
    shown = page.locator("#depot-clock")
    before = shown.text_content()
    page.clock.run_for(60_000)
    expect(shown).not_to_have_text(before or "")


def test_the_reader_of_the_api_works_under_the_policy(
    sign_in: SignIn, manager: User, live_server: Any
) -> None:
    page = sign_in(manager)
    page.goto(f"{live_server.url}/api/docs/")
    expect(page.get_by_role("heading", name="Depot API")).to_be_visible()
