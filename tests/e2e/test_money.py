"""Savings and battery health in a real browser: charts drawn, tables behind them, phone and dark."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from billing.services.bills import bill_month
from depot import clock
from depot.models import Depot, User
from depot.timegrid import TimeGrid, month_bounds
from fleet.battery.ageing import new_cell
from fleet.battery.cells import cell_models
from fleet.models import BatteryHealth, TelemetryReading
from tests import factories
from tests.billing.money import fill, make_tariff, month_grid
from tests.e2e.conftest import SIZES, Photograph, SignIn


@pytest.fixture
def last_month(depot: Depot) -> date:
    """Bill a whole month with a day's rhythm, and this month as far as it has gone."""
    now = clock.now()
    this = depot.local(now).date().replace(day=1)
    month = (this - timedelta(days=1)).replace(day=1)
    make_tariff(depot, month)
    grid = month_grid(depot, month)
    hours = [depot.local(at).hour for at in grid.times()]
    actual = [90.0 if hour < 6 else 10.0 if 16 <= hour < 21 else 60.0 for hour in hours]
    unmanaged = [200.0 if 16 <= hour < 20 else 50.0 for hour in hours]
    fill(depot, grid, actual, unmanaged, export_kw=2.0, wear=0.05)
    assert bill_month(depot, month, now)
    begun = month_bounds(this, depot.tz)[0]
    steps = (now - begun) // timedelta(minutes=15)
    if steps:
        fill(depot, TimeGrid(begun, 15, steps), 60, 80, final=False, wear=0.01)
        bill_month(depot, this, now)
    return month


@pytest.fixture
def fleet(depot: Depot) -> int:
    """Assess six batteries over four weeks; return the first vehicle's id."""
    now = clock.now()
    [cell] = cell_models("nmc622")
    today = depot.local(now).date()
    kind = factories.make_type(depot, name="Type C bus", chemistry="nmc622", warranty_throughput_kwh=400_000)
    vehicles = [factories.make_vehicle(depot, f"Bus 0{number}", type=kind) for number in range(1, 7)]
    BatteryHealth.objects.bulk_create(
        BatteryHealth(
            vehicle=vehicle,
            date=today - timedelta(days=back),
            computed_at=now,
            soh=0.93 - 0.004 * number + 0.0001 * back,
            soh_uncertainty=0.02,
            calendar_loss=0.03,
            cycling_loss=0.04 + 0.004 * number,
            v2g_loss=0.001,
            trend_per_year=0.04,
            outlook_per_year=0.02 + 0.002 * number,
            v2g_outlook_per_year=0.006,
            equivalent_full_cycles=300,
            throughput_kwh=60_000 * (number + 1),
            v2g_throughput_kwh=900,
            hours_above_80=80,
            recorded_hours=900,
            wear_cost_per_kwh=0.035,
            model=cell.name,
            state={cell.name: asdict(replace(new_cell(cell), age_days=400.0, calendar_loss=0.03))},
        )
        for number, vehicle in enumerate(vehicles)
        for back in range(1, 29)
    )
    TelemetryReading.objects.bulk_create(
        TelemetryReading(
            vehicle=vehicles[0],
            observed_at=now - timedelta(minutes=15 * step),
            received_at=now,
            source="charger",
            soc=_soc(depot.local(now - timedelta(minutes=15 * step))),
        )
        for step in range(96 * 7)
    )
    return vehicles[0].pk


def _soc(local: datetime) -> float:
    hour = local.hour + local.minute / 60
    if hour < 6:
        return 0.4 + 0.5 * hour / 6
    return 0.9 - 0.35 * (hour - 6) / 3 if hour < 9 else 0.55 if hour < 18 else 0.55 - 0.15 * (hour - 18) / 6


def is_drawn(page: Page, *names: str) -> None:
    for name in names:
        expect(page.locator(f"[data-chart={name}-figure][data-drawn] .main-svg").first).to_be_attached()


def fits_a_phone(page: Page) -> None:
    page.set_viewport_size(SIZES["phone"])  # type: ignore[arg-type]
    page.wait_for_timeout(250)
    page.wait_for_function(  # charts follow the new width a moment later
        f"document.documentElement.scrollWidth === {SIZES['phone']['width']}"
    )
    small = page.evaluate(
        """() => [...document.querySelectorAll("main a, main button, main summary")]
          .filter((e) => e.checkVisibility() && !e.closest("p, li .small"))
          .map((e) => [e.textContent.trim(), e.getBoundingClientRect()])
          .filter(([, box]) => box.height < 24 || box.width < 24)
          .map(([text]) => text)"""
    )
    assert small == []
    page.set_viewport_size(SIZES["desktop"])  # type: ignore[arg-type]


def test_savings_are_shown_step_by_step(
    sign_in: SignIn, viewer: User, depot: Depot, last_month: date, live_server: Any, photograph: Photograph
) -> None:
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/{depot.slug}/savings/?month={last_month:%Y-%m}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(
        f"In {last_month:%B} V2G and smart charging saved $"
    )
    is_drawn(page, "waterfall", "days")
    figure = page.get_by_role("figure", name="From the unmanaged bill to the actual cost")
    figure.get_by_text("Show as table").click()
    expect(figure.get_by_role("row").nth(1)).to_contain_text("Unmanaged")
    page.locator("table.bills details summary").first.click()
    expect(page.locator("table.bills details[open]")).to_contain_text("kWh imported at")
    fits_a_phone(page)
    page.evaluate("scrollTo(0, 0)")
    is_drawn(page, "waterfall", "days")
    photograph(page, "savings")
    with page.expect_download() as download:
        page.get_by_role("link", name="Both bills as CSV").click()
    assert download.value.suggested_filename == f"bills-{depot.slug}-{last_month:%Y-%m}.csv"


def test_batteries_are_shown_by_concern_and_one_by_one(
    sign_in: SignIn, viewer: User, depot: Depot, fleet: int, live_server: Any, photograph: Photograph
) -> None:
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/{depot.slug}/battery/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("The fastest ageing is Bus 06")
    expect(page.get_by_role("rowheader").first).to_have_text("Bus 06")
    fits_a_phone(page)
    photograph(page, "battery")
    page.get_by_role("link", name="Bus 01").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Bus 01 has 93.0 % of its capacity left")
    is_drawn(page, "capacity", "charge")
    fits_a_phone(page)
    photograph(page, "battery-vehicle")


def test_home_tells_money_and_batteries(
    sign_in: SignIn, viewer: User, depot: Depot, last_month: date, fleet: int, live_server: Any
) -> None:
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/{depot.slug}/")
    expect(page.locator("#money")).to_contain_text("Where the savings come from")
    expect(page.locator("#battery")).to_contain_text("The fastest ageing is Bus 06")
    page.locator("#money").get_by_role("link", name="Where the savings come from").click()
    expect(page).to_have_url(f"{live_server.url}/{depot.slug}/savings/")
